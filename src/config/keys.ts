import type { KeyedCaller } from "./caller-settings.ts";
import { allScopes, defaultScopes, grantedScopes, type Scope } from "./scope.ts";
import type { Environment } from "./environment.ts";
import { nearest } from "./nearest.ts";
import type { FileConfig } from "./schema.ts";
import { isKeyHash, keyDigest, keyProblem, Secret } from "../secret.ts";
import { checkCallerSignatures, signatureFrom } from "./signatures.ts";

const nameShape = /^[A-Za-z0-9][\w.@-]{0,63}$/;

/** A key and its name. */
export interface NamedKey {
  readonly name: string;
  readonly key: Secret;
}

/**
 * Reads the callers of `JACKFIELD_API_KEYS` and of the file, and validates them together. Problems never contain a key.
 * `reserved` are sources in use by others: a caller with such a name would share their calls and answers.
 */
export function callersFrom(environment: Environment, file: FileConfig, reserved: readonly string[]): KeyedCaller[] {
  const callers: KeyedCaller[] = [];
  const take = (caller: KeyedCaller, where: string): void => {
    if (reserved.includes(caller.caller.name)) {
      environment.problem(
        `${where} must have a name that is not one of the service's own sources (${reserved.join(", ")}); ` +
          `found ${JSON.stringify(caller.caller.name)}: choose another.`,
      );
    }
    const twice = callers.some((other) => other.caller.name === caller.caller.name);
    if (twice)
      environment.problem(`${where} must have a unique name; found ${JSON.stringify(caller.caller.name)} twice.`);
    const shared = callers.find((other) =>
      other.keys.some((key) => caller.keys.some((own) => isSameKey(own.reveal(), key.reveal()))),
    );
    if (shared !== undefined && !twice) {
      environment.problem(`${where} must have a unique key; found the key of ${JSON.stringify(shared.caller.name)}.`);
    }
    for (const key of caller.keys) checkKey(key.reveal(), where, environment);
    callers.push(caller);
  };

  const variable = environment.secret("JACKFIELD_API_KEYS");
  if (variable?.trim() === "") environment.problem("JACKFIELD_API_KEYS must contain a key; found only spaces.");
  for (const [index, entry] of entries(variable).entries()) {
    const caller = callerFromEntry(entry, `Entry ${index + 1} of JACKFIELD_API_KEYS`, environment);
    if (caller !== undefined) take(caller, `Entry ${index + 1} of JACKFIELD_API_KEYS`);
  }
  for (const [index, entry] of (file.callers ?? []).entries()) {
    const where = `callers[${index}]`;
    checkName(entry.name, `${where}.name`, environment);
    const { keys = [], signature } = entry;
    if (keys.length === 0 && signature === undefined) {
      environment.problem(`${where} must have keys, a signature, or both; found neither.`);
    }
    if (new Set(keys.map(digestText)).size < keys.length) {
      environment.problem(`${where}.keys must differ from each other; found one twice.`);
    }
    const scopes = grantedScopes(entry.scopes ?? defaultScopes);
    const { requestsPerSecond, burst } = entry.rateLimit ?? {};
    const caller = {
      name: entry.name,
      tenant: entry.tenant ?? "default",
      scopes,
      tools: entry.tools,
      ...(requestsPerSecond !== undefined && {
        rateLimit: { requestsPerSecond, burst: burst ?? Math.max(1, Math.ceil(requestsPerSecond)) },
      }),
    };
    take(
      {
        caller,
        keys: keys.map((key) => new Secret(key)),
        ...(signature !== undefined && { signature: signatureFrom(environment, `${where}.signature`, signature) }),
      },
      where,
    );
  }
  checkCallerSignatures(environment, callers);
  return callers;
}

/**
 * Reads a list of keys: a variable with one key, named `unnamed`, or with several as `name:key`. Problems contain no
 * key.
 */
export function namedKeysFrom(
  environment: Environment,
  where: string,
  given: string | readonly { readonly name: string; readonly key: string }[],
  unnamed: string,
): NamedKey[] {
  const named = typeof given === "string" ? keyEntries(given, where, unnamed, environment) : given;
  const names = new Set<string>();
  const keys = new Set<string>();
  for (const { name, key } of named) {
    checkName(name, where, environment);
    if (names.has(name))
      environment.problem(`${where} must give each key a unique name; found ${JSON.stringify(name)} twice.`);
    else if (keys.has(digestText(key)))
      environment.problem(`${where} must not hold the same key twice; found it again at ${JSON.stringify(name)}.`);
    checkKey(key, where, environment);
    names.add(name);
    keys.add(digestText(key));
  }
  return named.map(({ name, key }) => ({ name, key: new Secret(key) }));
}

function keyEntries(
  text: string,
  where: string,
  unnamed: string,
  environment: Environment,
): { name: string; key: string }[] {
  if (text.trim() === "") {
    environment.problem(`${where} must contain a key; found only spaces.`);
    return [];
  }
  const only = text.trim();
  if (!/[:,]/.test(only) || isKeyHash(only)) return [{ name: unnamed, key: only }];
  return entries(text).flatMap((entry, index) => {
    const { name, key, rest } = entryParts(entry);
    if (rest === undefined && name !== "" && key !== "") return [{ name, key }];
    environment.problem(`Entry ${index + 1} of ${where} must be name:key; found ${shapeOf(entry)}.`);
    return [];
  });
}

function callerFromEntry(entry: string, where: string, environment: Environment): KeyedCaller | undefined {
  const { name, key, rest: scopeText } = entryParts(entry);
  if (!entry.includes(":")) {
    environment.problem(`${where} must be name:key or name:key:scope+scope; found ${shapeOf(entry)}.`);
    return undefined;
  }
  checkName(name, where, environment);
  if (key === "") {
    environment.problem(`${where} must contain a key after ${JSON.stringify(`${name}:`)}; found none.`);
    return undefined;
  }
  const scopes = grantedScopes(scopeText === undefined ? defaultScopes : scopesFrom(scopeText, where, environment));
  return { caller: { name, tenant: "default", scopes, tools: undefined }, keys: [new Secret(key)] };
}

/** Splits an entry `name:key` or `name:key:rest`. The rest may contain colons, and so may a hash. */
function entryParts(entry: string): { name: string; key: string; rest: string | undefined } {
  const [, name = entry, key = "", rest] = /^([^:]*):(\s*sha256:[^:]*|[^:]*)(?::(.*))?$/is.exec(entry) ?? [];
  return { name: name.trim(), key: key.trim(), rest };
}

/** Validates a key. Adds problems to `environment`. */
function checkKey(key: string, where: string, environment: Environment): void {
  const problem = keyProblem(key);
  if (problem !== undefined) environment.problem(`${where} ${problem}`);
}

function isSameKey(one: string, other: string): boolean {
  return digestText(one) === digestText(other);
}

function digestText(key: string): string {
  return keyDigest(key).toString("hex");
}

function scopesFrom(text: string, where: string, environment: Environment): Scope[] {
  const scopes: Scope[] = [];
  for (const word of text.split("+").map((part) => part.trim())) {
    const scope = allScopes.find((known) => known === word);
    if (scope !== undefined) scopes.push(scope);
    else {
      const near = nearest(word, allScopes);
      // A text that resembles no scope may be a misplaced key.
      environment.problem(
        near === undefined
          ? `${where} must name known scopes after the key; found an unknown one: known are ${allScopes.join(", ")}.`
          : `${where} must name known scopes; found ${JSON.stringify(word)}, did you mean ${near}?`,
      );
    }
  }
  return scopes;
}

/** Validates a name that becomes part of a source. Adds problems to `environment`. */
export function checkName(name: string, where: string, environment: Environment): void {
  if (nameShape.test(name)) return;
  environment.problem(
    `${where} must have a name of letters, digits, and . _ @ - (at most 64); found ${name.length} characters that are not.`,
  );
}

/** Describes the form of an entry without revealing its content. */
function shapeOf(entry: string): string {
  if (entry === "") return "nothing";
  const colons = entry.split(":").length - 1;
  return colons === 0 ? "a text without a colon" : `${colons} colons`;
}

function entries(text: string | undefined): string[] {
  if (text === undefined) return [];
  const parts = text.split(",").map((part) => part.trim());
  return parts.at(-1) === "" ? parts.slice(0, -1) : parts;
}
