import { toJson } from "@bufbuild/protobuf";
import { NullValue, type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import { type ExactJson, withNumberTexts } from "../json/exact-number.ts";
import type { Json } from "../plugin/tool.ts";

/**
 * Returns a JSON value as protobuf's Value; a number that no double holds becomes its text. Written by hand because every
 * answer needs it: the library's `fromJson` takes ten times as long.
 */
export function valueFromJson(json: ExactJson): Value {
  return valueFromDoubles(withNumberTexts(json) as Json);
}

/** Returns a JSON value as protobuf's Value. All its numbers are doubles. */
export function valueFromDoubles(json: Json): Value {
  return { $typeName: "google.protobuf.Value", kind: kindFromJson(json) };
}

function kindFromJson(json: Json): Value["kind"] {
  if (typeof json === "string") return { case: "stringValue", value: json };
  if (typeof json === "number") return { case: "numberValue", value: json };
  if (typeof json === "boolean") return { case: "boolValue", value: json };
  if (json === null) return { case: "nullValue", value: NullValue.NULL_VALUE };
  if (Array.isArray(json)) {
    return {
      case: "listValue",
      value: { $typeName: "google.protobuf.ListValue", values: json.map((item) => valueFromDoubles(item)) },
    };
  }
  const fields: Record<string, Value> = {};
  for (const key of Object.keys(json)) {
    const field = valueFromDoubles(json[key] as Json);
    // Assigning to `__proto__` would not create a field.
    if (key === "__proto__") {
      Object.defineProperty(fields, key, { value: field, enumerable: true, configurable: true, writable: true });
    } else {
      fields[key] = field;
    }
  }
  return { case: "structValue", value: { $typeName: "google.protobuf.Struct", fields } };
}

/** Converts a protobuf Value to JSON. */
export function jsonFromValue(value: Value): Json {
  return toJson(ValueSchema, value);
}
