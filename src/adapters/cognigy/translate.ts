import { Outcome, type ToolCall, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { toolCall } from "../payload.ts";
import { violationList, violationsOf } from "../schema-error.ts";
import type { CallbackPayload } from "./payloads.ts";

/** The call that a payload asks for. */
export function callFromCallback(payload: CallbackPayload): ToolCall {
  return toolCall(payload.tool_call_id, payload.name, payload.arguments);
}

/** What the model reads of a result. */
export function outputFromResult(result: ToolResult): string {
  if (result.outcome === Outcome.OK) return result.output;
  const violations = violationsOf(result);
  if (violations.length === 0) return result.error?.message ?? result.output;
  return `Invalid arguments: Schema validation failed: ${violationList(violations, "; ")}`;
}

/** Measures an answer: everything but a good one is a fallback; only calls whose tool ran have a duration. */
export function measureAnswer(result: ToolResult, { metrics }: Telemetry): void {
  metrics.cognigyAnswered({
    tool: result.outcome === Outcome.UNKNOWN_TOOL ? "unknown" : result.name,
    status: result.outcome === Outcome.OK ? "success" : "fallback",
    seconds: result.attempts > 0 && !result.replayed ? seconds(result) : undefined,
  });
}

function seconds({ duration }: ToolResult): number {
  return duration === undefined ? 0 : Number(duration.seconds) + duration.nanos / 1e9;
}
