import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { escapePointer } from "../../json/pointer.ts";
import { isObject } from "../tool-call.ts";

/** The meaning of a value: a schema or a list of schemas, an object of schemas by name, or anything else. */
type Kind = "schema" | "schemas" | "data";

/** The kinds of the keywords of 2020-12 that contain schemas. */
const kinds: ReadonlyMap<string, Kind> = new Map([
  ["additionalProperties", "schema"],
  ["allOf", "schema"],
  ["anyOf", "schema"],
  ["contains", "schema"],
  ["contentSchema", "schema"],
  ["else", "schema"],
  ["if", "schema"],
  ["items", "schema"],
  ["not", "schema"],
  ["oneOf", "schema"],
  ["prefixItems", "schema"],
  ["propertyNames", "schema"],
  ["then", "schema"],
  ["unevaluatedItems", "schema"],
  ["unevaluatedProperties", "schema"],
  ["$defs", "schemas"],
  ["definitions", "schemas"],
  ["dependentSchemas", "schemas"],
  ["patternProperties", "schemas"],
  ["properties", "schemas"],
]);

/** Keywords of 2020-12 that draft-07 ignores. */
const laterKeywords: ReadonlySet<string> = new Set([
  "$dynamicRef",
  "dependentRequired",
  "dependentSchemas",
  "maxContains",
  "minContains",
  "prefixItems",
  "unevaluatedItems",
  "unevaluatedProperties",
]);

/** Keywords that name a schema for references. */
const names: ReadonlySet<string> = new Set(["$id", "$anchor", "$dynamicAnchor"]);

/**
 * Returns a tool's schema as part of an OpenAPI 3.1 document, whose schemas are 2020-12: keywords of draft-07 are
 * translated. `at` is the schema's place in the document. References become pointers from the document's root, and names
 * are left out, because the schemas of several tools may have the same ones.
 */
export function embeddedSchema(schema: JsonObject, at: string): JsonObject {
  const { $schema: draft } = schema;
  // The rule by which a tool's schemas are compiled.
  const isLatest = typeof draft === "string" && draft.includes("2020-12");
  return embeddedResource(schema, at, isLatest);
}

/** Embeds a schema from which the references in it start. */
function embeddedResource(root: JsonObject, at: string, isLatest: boolean): JsonObject {
  const targets = targetsOf(root);
  /** The place of each schema in the document, by its pointer and its name in the tool's schema. */
  const places = new Map<string, string>([["", at]]);
  const rewrites: (() => void)[] = [];

  function embed(value: JsonValue, kind: Kind, from: string, to: string): JsonValue {
    if (Array.isArray(value))
      return value.map((item, index) => embed(item, kind, `${from}/${index}`, `${to}/${index}`));
    // What a reference leads to is a schema, even in a keyword that is unknown.
    const isSchema = kind === "schema" || (kind === "data" && targets.has(from));
    if (isSchema) places.set(from, to);
    if (!isObject(value)) return value;
    if (isSchema) return hasOwnId(value) ? embeddedResource(value, to, isLatest) : translate(value, from, to);
    const inner = kind === "schemas" ? "schema" : "data";
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => [name, embed(member, inner, from + step(name), to + step(name))]),
    );
  }

  function translate(schema: JsonObject, from: string, to: string): JsonObject {
    const translated = new Map<string, JsonValue>();
    for (const [keyword, value] of Object.entries(schema)) {
      if (names.has(keyword)) {
        if (typeof value === "string") places.set(value.replace(/^#/, ""), to);
      } else if (isLatest || !laterKeywords.has(keyword)) {
        for (const [latest, part] of latestKeywords(keyword, value, schema)) {
          const embedded = embed(part, kinds.get(latest) ?? "data", from + step(keyword), to + step(latest));
          // A schema of 2020-12 may have `dependencies` and their successors.
          const before = translated.get(latest);
          translated.set(latest, isObject(before) && isObject(embedded) ? { ...before, ...embedded } : embedded);
        }
      }
    }
    const result = Object.fromEntries(translated);
    const { $ref: reference } = result;
    if (typeof reference === "string" && reference.startsWith("#")) {
      rewrites.push(() => (result["$ref"] = rewritten(reference)));
    }
    return result;
  }

  function rewritten(reference: string): string {
    const target = reference.slice(1);
    return places.get(target) ?? (target.startsWith("/") ? at + target : reference);
  }

  const result = translate(root, "", at);
  for (const rewrite of rewrites) rewrite();
  return result;
}

/** Returns a keyword of either draft as 2020-12 has it: the keywords that replace it, with their values. */
function latestKeywords(keyword: string, value: JsonValue, { items }: JsonObject): (readonly [string, JsonValue])[] {
  switch (keyword) {
    case "$schema":
      return [];
    case "$dynamicRef":
      return [["$ref", value]];
    case "items":
      return [[Array.isArray(value) ? "prefixItems" : "items", value]];
    case "additionalItems":
      return Array.isArray(items) ? [["items", value]] : [];
    case "dependencies": {
      const entries = isObject(value) ? Object.entries(value) : [];
      const parts = Object.groupBy(entries, ([, part]) =>
        Array.isArray(part) ? "dependentRequired" : "dependentSchemas",
      );
      return Object.entries(parts).map(([latest, part]) => [latest, Object.fromEntries(part)]);
    }
    default:
      return [[keyword, value]];
  }
}

function hasOwnId({ $id: id }: JsonObject): boolean {
  return typeof id === "string" && !id.startsWith("#");
}

/** Returns the targets of all references, without their `#`. */
function targetsOf(value: JsonValue, found: Set<string> = new Set()): ReadonlySet<string> {
  if (typeof value !== "object" || value === null) return found;
  for (const [key, member] of Object.entries(value)) {
    if (key === "$ref" && typeof member === "string" && member.startsWith("#")) found.add(member.slice(1));
    else targetsOf(member, found);
  }
  return found;
}

/** Returns a step of a JSON pointer in the form that a reference has. */
function step(name: string): string {
  return `/${encodeURI(escapePointer(name).toWellFormed()).replaceAll("#", "%23")}`;
}
