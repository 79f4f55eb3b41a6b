import { Secret } from "../secret.ts";
import type { SettingSchema } from "../settings.ts";
import type { Environment } from "./environment.ts";
import { namedKeysFrom } from "./keys.ts";
import { type SignatureEntry, signatureFrom } from "./signatures.ts";
import { checkOrigins, httpUrl } from "./values.ts";

/** Sources of declared settings. */
export interface SettingsSource {
  readonly environment: Environment;
  /** Values from the file, validated against its schema. */
  readonly file: Readonly<Record<string, unknown>>;
  /** Key of the group in the file: `adapters.NAME`. */
  readonly at: string;
  /** Name of an unnamed key in a list of keys. */
  readonly keyName: string;
}

/**
 * Reads declared settings: the variable if it is set, otherwise the file's value. Settings without a value are omitted.
 */
export function readSettings(
  declared: Readonly<Record<string, SettingSchema>>,
  source: SettingsSource,
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(declared)) {
    const value = readSetting(name, schema, source);
    if (value !== undefined) values[name] = value;
  }
  return values;
}

function readSetting(name: string, schema: SettingSchema, { environment, file, at, keyName }: SettingsSource): unknown {
  const { env, format } = schema;
  const own = env === undefined ? undefined : variableOf(env, schema, environment);
  const key = own === undefined ? `${at}.${name}` : (env ?? "");
  const given = own ?? file[name];
  if (given === undefined || (given === "" && schema.minLength === 0)) return undefined;
  switch (format) {
    case "uri":
      return httpUrl(environment, { key, text: given as string });
    case "origins":
      return checkOrigins(environment, key, typeof given === "string" ? partsOf(given) : (given as string[]));
    case "named-keys":
      return namedKeysFrom(environment, key, given as string | { name: string; key: string }[], keyName);
    case "signature":
      return signatureFrom(environment, key, given as SignatureEntry);
    case undefined:
      return schema.secret === true ? new Secret(given as string) : valueOf(given, schema, key, environment);
  }
}

function variableOf(name: string, schema: SettingSchema, environment: Environment): string | undefined {
  return schema.secret === true ? environment.secret(name) : environment.get(name);
}

/** Converts a value to the type that the schema requires. Only values from variables are text that needs parsing. */
function valueOf(given: unknown, schema: SettingSchema, key: string, environment: Environment): unknown {
  if (typeof given !== "string" || schema.type === "string") return given;
  const expected = {
    integer: "a whole number",
    number: "a number",
    boolean: "true or false",
    array: "a list",
    object: "an object",
  };
  if (schema.type === "array") return partsOf(given);
  if (schema.type === "boolean" && /^(true|false)$/i.test(given)) return given.toLowerCase() === "true";
  if (schema.type !== "boolean" && /^\d{1,15}(\.\d+)?$/.test(given)) {
    const number = Number(given);
    if (schema.type === "number" || Number.isInteger(number)) return number;
  }
  environment.problem(`${key} must be ${expected[schema.type]}; found ${JSON.stringify(given)}.`);
  return undefined;
}

function partsOf(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}
