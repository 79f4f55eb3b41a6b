import type { ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { PayloadError } from "../route.ts";
import { isId, isObject } from "../tool-call.ts";

/** One call as both of Genesys' gateways send it. */
export interface GenesysCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: unknown;
}

/** What the LLM Gateway sends. */
export interface GatewayPayload {
  readonly calls: readonly GenesysCall[];
  readonly conversationId: string;
  readonly sessionId: string;
}

/** What the AI Gateway sends. */
export interface RunPayload {
  readonly runId: string;
  readonly calls: readonly GenesysCall[];
}

const noCalls = "Missing or invalid tool_calls array";
const badCall = "Invalid tool call schema: missing id, name, or arguments";
const badRun = "Invalid payload structure. Expected run_id and tool_calls array.";

/** Reads a payload of the LLM Gateway. Throws a PayloadError. Source: requirements 000, steps 1 and 2. */
export function readGateway(payload: unknown, callsPerRequest: number): GatewayPayload {
  if (!isObject(payload)) throw new PayloadError(noCalls);
  const list = callList(payload.tool_calls, noCalls, callsPerRequest);
  return {
    calls: list.map((entry) => readCall(entry, badCall)),
    conversationId: optionalId(payload.conversation_id, "conversation_id"),
    sessionId: optionalId(payload.session_id, "session_id"),
  };
}

/** Reads a payload of the AI Gateway. Throws a PayloadError. Source: requirements 001, step 1. */
export function readRun(payload: unknown, callsPerRequest: number): RunPayload {
  // A run of `.` or `..` would be a step in the path of its delivery.
  if (!isObject(payload) || !isId(payload.run_id) || isPathStep(payload.run_id)) throw new PayloadError(badRun);
  const list = callList(payload.tool_calls, badRun, callsPerRequest);
  return { runId: payload.run_id, calls: list.map((entry) => readCall(entry, badRun)) };
}

/** What a refused payload, or any other problem, reads. */
export function errorText(message: string): string {
  return JSON.stringify({ error: message });
}

/** Tells whether a path segment is removed when a URL is parsed; encoding cannot protect it. */
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
  // Text or an object, as the document says; a list is refused behind the adapter, as that one call's problem.
  if (typeof input !== "string" && (typeof input !== "object" || input === null)) throw new PayloadError(refusal);
  return { id: entry.id, name, arguments: input };
}

function optionalId(value: unknown, name: string): string {
  if (value === undefined || value === null || value === "") return "";
  if (!isId(value)) throw new PayloadError(`Invalid ${name}: expected a string of at most 256 characters`);
  return value;
}

/** What is read of an event's result in the stream. */
export interface GatewayResult {
  readonly id: string;
  readonly function: { readonly name: string; readonly output: string };
}

/** One entry of the LLM Gateway's `tool_results`. */
export function gatewayResult(result: ToolResult, output: string): GatewayResult {
  return { id: result.callId, function: { name: result.name, output } };
}
