import { create } from "@bufbuild/protobuf";
import { NullValue, ValueSchema, type Value } from "@bufbuild/protobuf/wkt";
import type { ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { isFromJson, resultWith } from "../../executor/outcome.ts";

/**
 * The result as a message that can be sent, with null for each number that JSON cannot say (NaN, Infinity) and each value
 * left empty: protobuf's JSON form refuses the whole message for one of them.
 */
export function finiteResult(result: ToolResult): ToolResult {
  // DANGER: protobuf sends own properties only, and a value that is made on demand is none.
  if (isFromJson(result)) return resultWith(result, {});
  if (result.value === undefined || isSayable(result.value)) return result;
  return { ...result, value: sayable(result.value) };
}

function isSayable(value: Value): boolean {
  switch (value.kind.case) {
    case undefined:
      return false;
    case "numberValue":
      return Number.isFinite(value.kind.value);
    case "listValue":
      return value.kind.value.values.every(isSayable);
    case "structValue": {
      const { fields } = value.kind.value;
      for (const key in fields) if (Object.hasOwn(fields, key) && !isSayable(fields[key] as Value)) return false;
      return true;
    }
    default:
      return true;
  }
}

function sayable(value: Value): Value {
  switch (value.kind.case) {
    case "listValue":
      return create(ValueSchema, {
        kind: { case: "listValue", value: { values: value.kind.value.values.map(sayable) } },
      });
    case "structValue": {
      const struct = create(ValueSchema, { kind: { case: "structValue", value: { fields: {} } } });
      for (const [key, field] of Object.entries(value.kind.value.fields)) {
        if (struct.kind.case === "structValue") {
          Object.defineProperty(struct.kind.value.fields, key, {
            value: sayable(field),
            enumerable: true,
            configurable: true,
            writable: true,
          });
        }
      }
      return struct;
    }
    default:
      return isSayable(value)
        ? value
        : create(ValueSchema, { kind: { case: "nullValue", value: NullValue.NULL_VALUE } });
  }
}
