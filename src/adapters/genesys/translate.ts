import type { Job } from "../../../gen/jackfield/v1/jobs_pb.ts";
import { Outcome, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { rawJson } from "../../json/exact-number.ts";
import type { Batch, Step } from "../route.ts";
import { callContext, toolCall } from "../tool-call.ts";
import { cutText, violationList, violationsOf } from "../violations.ts";
import type { StreamEvent } from "../sse.ts";
import { errorText, gatewayResult, readGateway, readRun } from "./payloads.ts";

/** The calls of a payload of the LLM Gateway, `maxCalls` at most. Throws a PayloadError. */
export function batchFromGateway(payload: unknown, maxCalls: number): Batch {
  const { calls, conversationId, sessionId } = readGateway(payload, maxCalls);
  return {
    calls: calls.map((call) => toolCall(call.id, call.name, call.arguments)),
    context: callContext({ conversationId, sessionId, source: "genesys" }),
  };
}

/**
 * The calls of a payload of the AI Gateway, `maxCalls` at most: their arguments as text, which is how they are stored.
 * Throws a PayloadError.
 */
export function batchFromRun(payload: unknown, maxCalls: number): Batch {
  const { runId, calls } = readRun(payload, maxCalls);
  return {
    calls: calls.map((call) => toolCall(call.id, call.name, argumentsText(call.arguments))),
    context: callContext({ runId, source: "genesys" }),
  };
}

/** Arguments as JSON text, whichever way the platform sent them. Nothing that ought to be refused becomes acceptable. */
function argumentsText(input: unknown): string {
  if (typeof input === "string") return input;
  // A body has a thousand levels at most (json/cut-depth.ts): what nests deeper than arguments may is refused as that.
  // Writing through a function takes ten times as long: a payload of 870 kB took 95 ms.
  return hasInfinite(input) ? JSON.stringify(input, keepInfinite) : JSON.stringify(input);
}

function hasInfinite(value: unknown): boolean {
  if (typeof value === "number") return !Number.isFinite(value);
  if (typeof value !== "object" || value === null) return false;
  return Array.isArray(value) ? value.some(hasInfinite) : Object.values(value).some(hasInfinite);
}

/** A number too large for a double was read as infinite and would be written as null, silently another argument. */
function keepInfinite(_key: string, value: unknown): unknown {
  if (typeof value !== "number" || Number.isFinite(value)) return value;
  return rawJson(value > 0 ? "1e999" : "-1e999");
}

/** The event for a call that has ended, or for what a tool reports. */
export function progressEvent({ ended, total, event }: Step): StreamEvent {
  const data =
    event.case === "result"
      ? { step: ended, total, status: "completed", id: event.value.callId, name: event.value.name }
      : {
          step: ended,
          total,
          status: "running",
          id: event.value.callId,
          message: event.value.message,
          fraction: event.value.fraction,
        };
  return { event: "tool_progress", data: JSON.stringify(data) };
}

/** The last event of the LLM Gateway's stream. */
export function resultEvent(results: readonly ToolResult[], maxOutput: number): StreamEvent {
  const data = { tool_results: results.map((result) => gatewayResult(result, outputText(result, maxOutput))) };
  return { event: "tool_result", data: JSON.stringify(data) };
}

/** The body of a delivery. The same job gives the same bytes each time. */
export function deliveryBody(job: Job, maxOutput: number): string {
  return JSON.stringify({
    tool_calls: job.results.map((result) => ({ tool_call_id: result.callId, output: objectText(result, maxOutput) })),
  });
}

/** JSON text of what the model reads: the value, or `{"error":…}`. */
export function outputText(result: ToolResult, maxOutput: number): string {
  if (result.outcome !== Outcome.OK) return errorText(errorMessage(result, maxOutput));
  return isText(result) ? JSON.stringify(result.output) : result.output;
}

/** The same as the text of an object: other values become `{"result":…}`. */
export function objectText(result: ToolResult, maxOutput: number): string {
  const text = outputText(result, maxOutput);
  return text.trimStart().startsWith("{") ? text : `{"result":${text}}`;
}

function errorMessage(result: ToolResult, maxOutput: number): string {
  const violations = violationsOf(result);
  if (violations.length === 0) return result.error?.message ?? result.output;
  return cutText(`Schema validation failed for ${result.name}: ${violationList(violations, ", ")}`, maxOutput);
}

/** Whether the tool returned a text, which `output` then is, instead of a value whose JSON text it is. */
function isText({ value, output }: ToolResult): boolean {
  // A date's value is a text too, but its output is the JSON text of that, in quotes.
  if (value !== undefined) return value.kind.case === "stringValue" && value.kind.value === output;
  try {
    JSON.parse(output);
    return false;
  } catch {
    return true;
  }
}
