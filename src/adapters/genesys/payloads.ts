import type { ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { PayloadError } from "../route.ts";
import { isId, isObject } from "../tool-call.ts";

/** One call in the format of both Genesys gateways. */
export interface GenesysCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: unknown;
}

/** Payload of the LLM Gateway. */
export interface GatewayPayload {
  readonly calls: readonly GenesysCall[];
  readonly conversationId: string;
  readonly sessionId: string;
}

/** Payload of the AI Gateway. */
export interface RunPayload {
  readonly runId: string;
  readonly calls: readonly GenesysCall[];
}

const noCalls = "Missing or invalid tool_calls array";
const badCall = "Invalid tool call schema: missing id, name, or arguments";
const badRun = "Invalid payload structure. Expected run_id and tool_calls array.";

/** Validates a payload of the LLM Gateway (requirements 000, steps 1 and 2). Throws a PayloadError. */
export function readGateway(payload: unknown, callsPerRequest: number): GatewayPayload {
  if (!isObject(payload)) throw new PayloadError(noCalls);
  const list = callList(payload.tool_calls, noCalls, callsPerRequest);
  return {
    calls: list.map((entry) => readCall(entry, badCall)),
    conversationId: optionalId(payload.conversation_id, "conversation_id"),
    sessionId: optionalId(payload.session_id, "session_id"),
  };
}

/** Validates a payload of the AI Gateway (requirements 001, step 1). Throws a PayloadError. */
export function readRun(payload: unknown, callsPerRequest: number): RunPayload {
  // A run id of `.` or `..` would change the path of its delivery.
  if (!isObject(payload) || !isId(payload.run_id) || isPathStep(payload.run_id)) throw new PayloadError(badRun);
  const list = callList(payload.tool_calls, badRun, callsPerRequest);
  return { runId: payload.run_id, calls: list.map((entry) => readCall(entry, badRun)) };
}

/** Returns the body of an answer that reports a problem. */
export function errorText(message: string): string {
  return JSON.stringify({ error: message });
}

/** Reports whether a path segment would be removed when a URL is parsed. Encoding cannot prevent that. */
export function isPathStep(segment: string): boolean {
  return segment === "." || segment === "..";
}

function callList(list: unknown, refusal: string, callsPerRequest: number): readonly unknown[] {
  if (!Array.isArray(list) || list.length === 0) throw new PayloadError(refusal);
  if (list.length > callsPerRequest) {
    throw new PayloadError(
      `Too many tool calls: a request may hold at most ${callsPerRequest}, this one holds ${list.length}`,
    );
  }
  return list;
}

function readCall(entry: unknown, refusal: string): GenesysCall {
  if (!isObject(entry) || !isId(entry.id) || !isObject(entry.function)) throw new PayloadError(refusal);
  const { name, arguments: input } = entry.function;
  if (typeof name !== "string" || name === "") throw new PayloadError(refusal);
  // Text or an object, as documented. Anything else is refused later, as the problem of that one call.
  if (input === undefined || input === null) throw new PayloadError(refusal);
  return { id: entry.id, name, arguments: input };
}

function optionalId(value: unknown, name: string): string {
  if (value === undefined || value === null || value === "") return "";
  if (!isId(value)) throw new PayloadError(`Invalid ${name}: expected a string of at most 256 characters`);
  return value;
}

/** The result of a call in the last event of the stream. */
export interface GatewayResult {
  readonly id: string;
  readonly function: { readonly name: string; readonly output: string };
}

/** Returns one entry of the LLM Gateway's `tool_results`. */
export function gatewayResult(result: ToolResult, output: string): GatewayResult {
  return { id: result.callId, function: { name: result.name, output } };
}
