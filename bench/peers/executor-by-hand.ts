import type { Json } from "../../src/plugin/tool.ts";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { createSearch } from "./search.ts";

const search = createSearch();

/** Executes a tool without the service: the same answer only. `value` converts JSON to the type of the library. */
export function executeByHand<V>(call: { id: string; name: string; args: unknown }, value: (json: Json) => V) {
  const result = search(call.args);
  return {
    callId: call.id,
    name: call.name,
    outcome: Outcome.OK,
    output: JSON.stringify(result),
    value: value(result),
    attempts: 1,
  };
}

/** Returns a JSON value as the plain object that protobuf libraries without a JSON mapping accept as a Value. */
export function plainValue(json: Json): object {
  if (json === null) return { nullValue: 0 };
  if (typeof json === "string") return { stringValue: json };
  if (typeof json === "number") return { numberValue: json };
  if (typeof json === "boolean") return { boolValue: json };
  if (Array.isArray(json)) return { listValue: { values: json.map(plainValue) } };
  const fields = Object.fromEntries(Object.entries(json).map(([key, member]) => [key, plainValue(member)]));
  return { structValue: { fields } };
}
