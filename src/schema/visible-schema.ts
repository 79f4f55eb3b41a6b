import { visibleText } from "../json/visible-text.ts";
import type { JsonObject } from "../plugin/tool.ts";

const prose: ReadonlySet<string> = new Set(["description", "title", "$comment"]);

/**
 * Cleans those texts of a JSON Schema that a model reads. Names and values stay unchanged, because arguments are
 * compared with them.
 */
export function visibleSchema(schema: JsonObject): JsonObject {
  return mapMembers(schema, (key, value) => (prose.has(key) && typeof value === "string" ? visibleText(value) : value));
}

function mapMembers(
  node: JsonObject,
  change: (key: string, value: JsonObject[string]) => JsonObject[string],
): JsonObject {
  const entries = Object.entries(node).map(([key, value]): [string, JsonObject[string]] => {
    if (Array.isArray(value)) {
      return [key, value.map((item) => (isObject(item) ? mapMembers(item, change) : item))];
    }
    return [key, isObject(value) ? mapMembers(value, change) : change(key, value)];
  });
  return Object.fromEntries(entries);
}

function isObject(value: JsonObject[string]): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
