import { Outcome, type ToolCall, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { Instrument, Measure } from "../adapter.ts";
import { PayloadError } from "../route.ts";
import { isId, isObject, toolCall } from "../tool-call.ts";
import { cutText, violationList, violationsOf } from "../violations.ts";

/**
 * Converts a callback, `{tool_call_id, name, arguments}`, to a call. Throws a PayloadError. Invalid arguments are not
 * an error here, because their problems are reported to the model.
 */
export function callFromCallback(payload: unknown): ToolCall {
  if (!isObject(payload)) throw new PayloadError("Expected a JSON object with tool_call_id, name and arguments");
  const { tool_call_id, name } = payload;
  if (!isId(tool_call_id))
    throw new PayloadError("Invalid or missing tool_call_id: expected a string of 1 to 256 characters");
  if (typeof name !== "string" || name === "")
    throw new PayloadError("Invalid or missing name: expected the name of a tool");
  return toolCall(tool_call_id, name, payload.arguments);
}

/** Creates the function that writes the answer to a call as JSON text, with an output of at most `maxOutput` bytes. */
export function createAnswerWriter(maxOutput: number) {
  return ({ id }: Pick<ToolCall, "id">, result: ToolResult): string =>
    answerText(id, outputFromResult(result, maxOutput));
}

/** Returns the text that the model reads of a result. */
function outputFromResult(result: ToolResult, maxOutput: number): string {
  if (result.outcome === Outcome.OK) return result.output;
  const violations = violationsOf(result);
  if (violations.length === 0) return result.error?.message ?? result.output;
  return cutText(`Invalid arguments: Schema validation failed: ${violationList(violations, "; ")}`, maxOutput);
}

/** Writes the answer of a call as JSON text. Written by hand because this is the busiest path. */
export function answerText(toolCallId: string, output: string): string {
  return `{"tool_call_id":${JSON.stringify(toolCallId)},"output":${JSON.stringify(output)}}`;
}

/** Writes the answer to a poll for a call that is still running. */
export function pendingText(toolCallId: string): string {
  return `{"tool_call_id":${JSON.stringify(toolCallId)},"status":"pending"}`;
}

/** Returns the id in a payload that could not be served; `unknown` if there is none. */
export function idFromPayload(payload: unknown): string {
  return isObject(payload) && isId(payload.tool_call_id) ? payload.tool_call_id : "unknown";
}

const invocations = "cognigy.tool.invocations";
const duration = "cognigy.tool.execution.duration";
const cost = "cognigy.tool.cost.attribution";

/** Metrics of the Cognigy adapter. Source: requirement 003.10. */
export const cognigyInstruments: readonly Instrument[] = [
  { name: invocations, kind: "counter", description: "Cognigy callbacks answered.", labels: ["status"] },
  { name: duration, kind: "histogram", description: "Time of Cognigy tool calls that ran.", unit: "s", labels: [] },
  {
    name: cost,
    kind: "counter",
    description: "Cognigy tool calls that ran, for attributing their cost.",
    labels: ["tool", "status"],
  },
];

const succeeded = { status: "success" };
const fellBack = { status: "fallback" };

/** Measures an answer. A call that outlived its answer deadline has its duration and cost measured when it ends. */
export function measureAnswer(result: ToolResult, measure: Measure): void {
  if (result.outcome !== Outcome.PENDING && !result.replayed) measureLateResult(result, measure);
  measure(invocations, result.outcome === Outcome.OK ? succeeded : fellBack, 1);
}

/** Measures duration and cost of a call whose tool ran. */
export function measureLateResult(result: ToolResult, measure: Measure): void {
  if (result.attempts === 0) return;
  measure(duration, {}, seconds(result));
  measure(cost, { tool: result.name, status: result.outcome === Outcome.OK ? "success" : "fallback" }, 1);
}

/** Measures a request that got a 5xx, which the caller handles as a fallback too. */
export function measureFailure(_failure: unknown, measure: Measure): void {
  measure(invocations, fellBack, 1);
}

function seconds({ duration: taken }: ToolResult): number {
  return taken === undefined ? 0 : Number(taken.seconds) + taken.nanos / 1e9;
}
