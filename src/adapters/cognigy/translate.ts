import { Outcome, type ToolCall, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { toolCall } from "../tool-call.ts";
import { cutText, violationList, violationsOf } from "../violations.ts";
import type { CallbackPayload } from "./payloads.ts";

/** Makes the call of a payload. */
export function callFromCallback(payload: CallbackPayload): ToolCall {
  return toolCall(payload.tool_call_id, payload.name, payload.arguments);
}

/** Returns what the model reads of a result. */
export function outputFromResult(result: ToolResult, maxOutput: number): string {
  if (result.outcome === Outcome.OK) return result.output;
  const violations = violationsOf(result);
  if (violations.length === 0) return result.error?.message ?? result.output;
  return cutText(`Invalid arguments: Schema validation failed: ${violationList(violations, "; ")}`, maxOutput);
}
