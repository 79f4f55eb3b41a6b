import { readFileSync } from "node:fs";
import { resolve } from "node:path";

/** Variables by name, as `process.env` gives them. */
export type Env = Readonly<Record<string, string | undefined>>;

/** Reads variables, each also as `NAME_FILE`, and gathers what is wrong with them. */
export interface Environment {
  /** The variable's text; undefined where it is not set or empty. */
  get(name: string): string | undefined;
  /** The same, and the file that `NAME_FILE` names where it is set instead; its last line break is left out. */
  secret(name: string): string | undefined;
  /** Adds a problem, a whole sentence. */
  problem(sentence: string): void;
  /** The problems found so far. */
  readonly problems: readonly string[];
}

/** Makes the reader of variables. Relative `NAME_FILE` paths count from `cwd`; problems go into the given list. */
export function createEnvironment(env: Env, cwd: string, problems: string[]): Environment {
  const told = new Set<string>();
  const problem = (sentence: string): void => {
    if (told.has(sentence)) return;
    told.add(sentence);
    problems.push(sentence);
  };
  const get = (name: string): string | undefined => (Object.hasOwn(env, name) ? env[name] || undefined : undefined);
  return {
    get,
    problem,
    problems,
    secret(name) {
      const plain = get(name);
      const path = get(`${name}_FILE`);
      if (path === undefined) return plain;
      if (plain !== undefined) {
        problem(`${name} and ${name}_FILE must not both be set; found both: keep one.`);
        return plain;
      }
      try {
        return readSecretFile(resolve(cwd, path)) || emptyFile(name, path, problem);
      } catch (reason) {
        problem(`${name}_FILE must name a file that can be read; found ${JSON.stringify(path)} (${whyNot(reason)}).`);
        return undefined;
      }
    },
  };
}

/** What a program needs of its surroundings, and nothing that may be a secret. */
const isolatedNames =
  /^(?:PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|TMP|TEMP|NODE_ENV|NODE_EXTRA_CA_CERTS|SSL_CERT_(?:FILE|DIR))$/;

/** The variables that the threads and processes of isolated tools get. Their configuration comes by message. */
export function isolatedEnvFrom(env: Env): Env {
  return Object.fromEntries(Object.entries(env).filter(([name]) => isolatedNames.test(name)));
}

/** The text of a file that holds one secret, without the line break at its end. */
export function readSecretFile(path: string): string {
  return readFileSync(path, "utf8").replace(/\r?\n$/, "");
}

/** Why a file could not be read, in a few words. */
export function whyNot(reason: unknown): string {
  const code = reason instanceof Error && "code" in reason ? String(reason.code) : "";
  const words: Record<string, string> = {
    ENOENT: "there is no such file",
    EACCES: "permission denied",
    EISDIR: "it is a folder",
    ENOTDIR: "a part of the path is no folder",
  };
  return words[code] ?? (code || "it cannot be read");
}

function emptyFile(name: string, path: string, problem: (sentence: string) => void): undefined {
  problem(`${name}_FILE must name a file that holds the secret; found ${JSON.stringify(path)}, which is empty.`);
  return undefined;
}
