import { unescapePointer } from "../json/pointer.ts";
import type { JsonSchema } from "../plugin/tool.ts";

/** Minimum length of a redacted value: shorter ones would also match harmless text. */
const minLength = 4;

/**
 * Returns the values in a configuration that its schema marks `secret: true`: in members and items, in alternatives,
 * and behind references within the schema.
 */
export function secretsOf(config: unknown, root: JsonSchema | undefined): string[] {
  const found = new Set<string>();
  visit(config, root, []);
  return [...found];

  /** `references` are those that led here without a step into the value: a circle among them ends. */
  function visit(value: unknown, schema: unknown, references: readonly string[]): void {
    if (!isObject(schema) || value === undefined || value === null) return;
    if (schema["secret"] === true) for (const text of textsOf(value)) found.add(text);
    const reference = schema["$ref"];
    if (typeof reference === "string" && !references.includes(reference))
      visit(value, referredTo(root, reference), [...references, reference]);
    for (const keyword of ["anyOf", "oneOf", "allOf"])
      for (const choice of listOf(schema[keyword])) visit(value, choice, references);
    for (const keyword of ["if", "then", "else"]) visit(value, schema[keyword], references);
    if (Array.isArray(value)) visitItems(value, schema);
    else if (isObject(value)) visitMembers(value, schema);
  }

  function visitItems(items: readonly unknown[], schema: JsonSchema): void {
    const tuple = Array.isArray(schema["items"]) ? schema["items"] : listOf(schema["prefixItems"]);
    const rest = Array.isArray(schema["items"]) ? schema["additionalItems"] : schema["items"];
    for (const [index, item] of items.entries()) visit(item, tuple[index] ?? rest, []);
  }

  function visitMembers(members: Record<string, unknown>, schema: JsonSchema): void {
    const { properties, patternProperties } = schema;
    for (const [key, member] of Object.entries(members)) {
      if (isObject(properties) && Object.hasOwn(properties, key)) visit(member, properties[key], []);
      // Whichever pattern it is: a value that is hidden without need does no harm.
      if (isObject(patternProperties)) for (const each of Object.values(patternProperties)) visit(member, each, []);
      visit(member, schema["additionalProperties"], []);
    }
  }
}

/** Returns the schema at a reference such as `#/$defs/key`; undefined if it leads nowhere. */
function referredTo(root: unknown, reference: string): unknown {
  if (!reference.startsWith("#")) return undefined;
  let at = root;
  for (const part of reference.split("/").slice(1)) {
    const key = unescapePointer(decodeURIComponent(part));
    at = isObject(at) || Array.isArray(at) ? (at as Record<string, unknown>)[key] : undefined;
  }
  return at;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Creates a function that replaces each of the secrets in a text with `[secret]`. */
export function createRedact(secrets: readonly string[]): (text: string) => string {
  const forms = secrets
    .filter((secret) => secret.length >= minLength)
    // Both verbatim and as it appears in JSON text.
    .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]);
  // Longest first, so that a secret with another one as its prefix is replaced completely.
  const known = [...new Set(forms)].sort((a, b) => b.length - a.length);
  if (known.length === 0) return (text) => text;
  return (text) => {
    for (const secret of known) if (text.includes(secret)) text = text.replaceAll(secret, "[secret]");
    return text;
  };
}

function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsOf) : [];
}
