import { Outcome, type ToolCall, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { toolCall } from "../tool-call.ts";
import { cutText, violationList, violationsOf } from "../violations.ts";
import { readCallback } from "./payloads.ts";

/** Makes the call of a payload. Throws a PayloadError. */
export function callFromCallback(payload: unknown): ToolCall {
  const callback = readCallback(payload);
  return toolCall(callback.tool_call_id, callback.name, callback.arguments);
}

/** Returns what the model reads of a result. */
export function outputFromResult(result: ToolResult, maxOutput: number): string {
  if (result.outcome === Outcome.OK) return result.output;
  const violations = violationsOf(result);
  if (violations.length === 0) return result.error?.message ?? result.output;
  return cutText(`Invalid arguments: Schema validation failed: ${violationList(violations, "; ")}`, maxOutput);
}
