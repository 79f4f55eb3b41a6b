import { toJson } from "@bufbuild/protobuf";
import { NullValue, type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import { type ExactJson, withNumberTexts } from "../json/exact-number.ts";
import type { Json } from "../plugin/tool.ts";

/**
 * A JSON value as protobuf's Value, in which a number that no double holds is its text. Written by hand because it is made for every answer: the library's `fromJson`, which goes
 * by reflection, takes ten times as long.
 */
export function valueFromJson(json: ExactJson): Value {
  return plainValue(withNumberTexts(json) as Json);
}

function plainValue(json: Json): Value {
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
      value: { $typeName: "google.protobuf.ListValue", values: json.map((item) => plainValue(item)) },
    };
  }
  const fields: Record<string, Value> = {};
  for (const key of Object.keys(json)) {
    const field = plainValue(json[key] as Json);
    // An assignment to `__proto__` would not make a field.
    if (key === "__proto__") {
      Object.defineProperty(fields, key, { value: field, enumerable: true, configurable: true, writable: true });
    } else {
      fields[key] = field;
    }
  }
  return { case: "structValue", value: { $typeName: "google.protobuf.Struct", fields } };
}

/** The JSON value that a protobuf Value stands for. */
export function jsonFromValue(value: Value): Json {
  return toJson(ValueSchema, value);
}
