import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { BulkFields, SkeletonLimits } from "./bulk-fields.ts";

/**
 * Changes the JSON form of a message to that of its skeleton, and returns its Structs in the order of putStructs.
 * Values that do not have the form of their field stay, for protobuf-es to refuse. Throws if a Struct is nested too
 * deeply.
 */
export function takeStructsFromJson(fields: BulkFields, json: JsonValue, limits: SkeletonLimits): JsonObject[] {
  const structs: JsonObject[] = [];
  if (isObject(json)) take(fields, json, 1, limits, structs);
  return structs;
}

function take(
  { fields }: BulkFields,
  json: JsonObject,
  depth: number,
  limits: SkeletonLimits,
  structs: JsonObject[],
): void {
  for (const { content, names, nested } of fields) {
    // protobuf-es refuses a field that is set under both of its names.
    for (const name of names) {
      const value = json[name];
      if (value === undefined) continue;
      if (content === "value") json[name] = null;
      else if (content === "messages") {
        if (!Array.isArray(value)) continue;
        if (value.length > limits.maxItems) value.length = limits.maxItems + 1;
        for (const item of value) if (isObject(item)) take(nested, item, depth + 1, limits, structs);
      } else if (isObject(value)) {
        if (content === "message") take(nested, value, depth + 1, limits, structs);
        else {
          // The Struct is a message, and so is each of its values.
          checkDepth(value, limits.recursionLimit - depth - 1, limits);
          structs.push(value);
          json[name] = {};
        }
      }
    }
  }
}

/** Throws if a value contains more than `levels` levels of values. */
function checkDepth(value: JsonValue[] | JsonObject, levels: number, limits: SkeletonLimits): void {
  if (levels <= 0 && Object.keys(value).length > 0) {
    throw new Error(
      `cannot decode google.protobuf.Value from JSON: maximum recursion depth of ${limits.recursionLimit} reached`,
    );
  }
  const check = (item: JsonValue | undefined): void => {
    if (typeof item === "object" && item !== null) checkDepth(item, levels - 1, limits);
  };
  if (Array.isArray(value)) for (const item of value) check(item);
  // Not by `Object.values`, which takes twice as long for an object of very many members.
  else for (const name in value) check(value[name]);
}

function isObject(json: JsonValue): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}
