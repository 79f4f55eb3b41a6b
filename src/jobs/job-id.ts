import { hash } from "node:crypto";
import type { JsonValue } from "@bufbuild/protobuf";
import type { ToolCall } from "../../gen/jackfield/v1/tool_pb.ts";

/**
 * The id of a job that was submitted without one: a digest of tenant, run id, call ids, names and arguments, so that the
 * same batch sent again gets the job that is there. The order of keys in argument objects does not count.
 */
export function jobIdFrom(tenant: string, runId: string, calls: readonly ToolCall[]): string {
  let whole = JSON.stringify([tenant, runId, calls.length]);
  for (const { id, name, input } of calls) {
    const text = input.case === "arguments" ? canonical(input.value) : (input.value ?? "");
    whole += JSON.stringify([id, name, input.case ?? "", text]);
  }
  return hash("sha256", whole, "base64url");
}

/** JSON text with the keys of every object sorted. Numbers that JSON cannot say keep a text of their own. */
function canonical(value: JsonValue | undefined): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`).join(",")}}`;
  }
  return typeof value === "number" ? String(value) : JSON.stringify(value ?? null);
}
