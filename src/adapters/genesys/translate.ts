import type { Job } from "../../../gen/jackfield/v1/jobs_pb.ts";
import { Outcome, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { rawJson } from "../../json/exact-number.ts";
import type { Batch, Step } from "../route.ts";
import { callContext, toolCall } from "../tool-call.ts";
import { cutText, violationList, violationsOf } from "../violations.ts";
import type { StreamEvent } from "../sse.ts";
import { errorText, gatewayResult, readGateway, readRun } from "./payloads.ts";

/** Converts a payload of the LLM Gateway to calls, at most `maxCalls`. Throws a PayloadError. */
export function batchFromGateway(payload: unknown, maxCalls: number): Batch {
  const { calls, conversationId, sessionId } = readGateway(payload, maxCalls);
  return {
    calls: calls.map((call) => toolCall(call.id, call.name, call.arguments)),
    context: callContext({ conversationId, sessionId, source: "genesys" }),
  };
}

/**
 * Converts a payload of the AI Gateway to calls, at most `maxCalls`. Arguments become text, the form in which they are
 * stored. Throws a PayloadError.
 */
export function batchFromRun(payload: unknown, maxCalls: number): Batch {
  const { runId, calls } = readRun(payload, maxCalls);
  return {
    calls: calls.map((call) => toolCall(call.id, call.name, argumentsText(call.arguments))),
    context: callContext({ runId, source: "genesys" }),
  };
}

/**
 * Returns arguments as JSON text, whether the platform sent text or an object. Arguments that must be refused stay
 * invalid.
 */
function argumentsText(input: unknown): string {
  if (typeof input === "string") return input;
  // A body has at most a thousand levels (json/cut-depth.ts), and arguments that are nested too deeply are refused
  // later. Serialising through a function takes ten times as long: 95 ms for a payload of 870 kB.
  return hasInfinite(input) ? JSON.stringify(input, keepInfinite) : JSON.stringify(input);
}

function hasInfinite(value: unknown): boolean {
  if (typeof value === "number") return !Number.isFinite(value);
  if (typeof value !== "object" || value === null) return false;
  return Array.isArray(value) ? value.some(hasInfinite) : Object.values(value).some(hasInfinite);
}

/**
 * A number that is too large for a double was parsed as infinite and would be written as null, silently changing the
 * argument.
 */
function keepInfinite(_key: string, value: unknown): unknown {
  if (typeof value !== "number" || Number.isFinite(value)) return value;
  return rawJson(value > 0 ? "1e999" : "-1e999");
}

/** Returns the event for a call that has ended, or for a tool's progress. */
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

/** Returns the last event of the LLM Gateway's stream. */
export function resultEvent(results: readonly ToolResult[], maxOutput: number): StreamEvent {
  const data = { tool_results: results.map((result) => gatewayResult(result, outputText(result, maxOutput))) };
  return { event: "tool_result", data: JSON.stringify(data) };
}

/** Returns the body of a delivery. The same job yields the same bytes each time. */
export function deliveryBody(job: Job, maxOutput: number): string {
  return JSON.stringify({
    tool_calls: job.results.map((result) => ({ tool_call_id: result.callId, output: objectText(result, maxOutput) })),
  });
}

/** Returns the JSON text that the model reads: the value, or `{"error":…}`. */
export function outputText(result: ToolResult, maxOutput: number): string {
  if (result.outcome !== Outcome.OK) return errorText(errorMessage(result, maxOutput));
  return isText(result) ? JSON.stringify(result.output) : result.output;
}

/** Like `outputText`, but always an object: other values become `{"result":…}`. */
export function objectText(result: ToolResult, maxOutput: number): string {
  const text = outputText(result, maxOutput);
  return text.trimStart().startsWith("{") ? text : `{"result":${text}}`;
}

function errorMessage(result: ToolResult, maxOutput: number): string {
  const violations = violationsOf(result);
  if (violations.length === 0) return result.error?.message ?? result.output;
  return cutText(`Schema validation failed for ${result.name}: ${violationList(violations, ", ")}`, maxOutput);
}

/** Reports whether the tool returned a string, so that `output` is the string itself and not JSON text. */
function isText({ value, output }: ToolResult): boolean {
  // A date's value is a string too, but its output is JSON text, in quotes.
  if (value !== undefined) return value.kind.case === "stringValue" && value.kind.value === output;
  try {
    JSON.parse(output);
    return false;
  } catch {
    return true;
  }
}
