import type { ErrorObject } from "ajv";
import { escapePointer } from "../json/pointer.ts";
import { keyFromPointer } from "./interpolate.ts";
import { nearest } from "./nearest.ts";

/**
 * Formats Ajv's errors (with `verbose` and `allErrors`) as sentences: the key, the expected and the found value. Values
 * at the pointers in `secretPaths`, of credentials and of keys with secret-looking names are not shown.
 */
export function sentencesFromAjv(
  errors: readonly ErrorObject[],
  file: string,
  secretPaths: ReadonlySet<string>,
): string[] {
  const sentences = errors.map((error) => sentence(error, secretPaths)).filter((text) => text !== undefined);
  return [...new Set(sentences)].map((text) => `${file}: ${text}`);
}

function sentence(error: ErrorObject, secretPaths: ReadonlySet<string>): string | undefined {
  const key = keyFromPointer(error.instancePath) || "the document";
  const params: Record<string, unknown> = error.params;
  if (error.keyword === "additionalProperties") return unknownKey(error, String(params["additionalProperty"]));
  if (error.keyword === "required") {
    const missing = `${error.instancePath}/${escapePointer(String(params["missingProperty"]))}`;
    return `${keyFromPointer(missing)} is needed; found nothing.`;
  }
  // A wrong type says everything: further errors of the same value would only repeat it.
  const expected = expectation(error, params);
  if (expected === undefined) return undefined;
  const described = typeof error.data === "object";
  const hidden = !described && (secretPaths.has(error.instancePath) || isSecretPointer(error.instancePath));
  return `${key} must be ${expected}; found ${hidden ? "[secret]" : shown(error.data)}.`;
}

function unknownKey(error: ErrorObject, name: string): string {
  const key = keyFromPointer(`${error.instancePath}/${escapePointer(name)}`);
  const known = Object.keys((error.parentSchema as { properties?: object } | undefined)?.properties ?? {});
  const near = nearest(name, known);
  return `${key} is not a known key; ${near === undefined ? `known keys are ${known.join(", ")}` : `did you mean ${near}?`}`.replace(
    /([^?])$/,
    "$1.",
  );
}

function expectation(error: ErrorObject, params: Record<string, unknown>): string | undefined {
  const schema = error.parentSchema as
    | { minimum?: number; maximum?: number; pattern?: string; items?: unknown }
    | undefined;
  const limit = String(params["limit"]);
  switch (error.keyword) {
    case "type":
      return typeText(String(params["type"]), schema);
    case "enum":
      return `one of ${(params["allowedValues"] as unknown[]).map(String).join(", ")}`;
    case "minimum":
    case "maximum":
      return schema?.minimum !== undefined && schema.maximum !== undefined
        ? `from ${schema.minimum} to ${schema.maximum}`
        : `at ${error.keyword === "minimum" ? "least" : "most"} ${limit}`;
    case "exclusiveMinimum":
      return `more than ${limit}`;
    case "minLength":
      return "a non-empty text";
    case "minItems":
      return `a list of at least ${limit}`;
    case "pattern":
      return `a text like ${String(params["pattern"])}`;
    default:
      return error.message;
  }
}

function typeText(type: string, schema: { minimum?: number; maximum?: number } | undefined): string {
  const range =
    schema?.minimum !== undefined && schema.maximum !== undefined ? ` from ${schema.minimum} to ${schema.maximum}` : "";
  const descriptions: Record<string, string> = {
    integer: `a whole number${range}`,
    number: `a number${range}`,
    string: "a text",
    boolean: "true or false",
    array: "a list",
    object: "a group of keys",
  };
  return descriptions[type] ?? type;
}

/** Reports whether a key's name suggests that its value is secret. */
export function looksSecret(key: string): boolean {
  return (
    /(^|[-_])keys?$|api[-_]?keys?|[a-z]Keys?$|token|secret|passw|credential|authorization/i.test(key) &&
    !/publicKey|tokenUrl/i.test(key)
  );
}

/** Describes a found value briefly. */
export function shown(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object") return "a group of keys";
  const json = JSON.stringify(value);
  return json.length > 80 ? `${json.slice(0, 77)}…"` : json;
}

function isSecretPointer(pointer: string): boolean {
  const lastKey = pointer.split("/").findLast((step) => !/^\d+$/.test(step)) ?? "";
  return pointer.startsWith("/credentials/") || looksSecret(lastKey);
}
