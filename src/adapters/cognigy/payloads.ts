import { PayloadError } from "../adapter.ts";
import { isId, isObject } from "../payload.ts";

/** What Cognigy sends. */
export interface CallbackPayload {
  readonly tool_call_id: string;
  readonly name: string;
  readonly arguments: unknown;
}

/** Reads a payload. Throws a PayloadError. Whatever is wrong with the arguments is for the model to read. */
export function readCallback(payload: unknown): CallbackPayload {
  if (!isObject(payload)) throw new PayloadError("Expected a JSON object with tool_call_id, name and arguments");
  const { tool_call_id, name } = payload;
  if (!isId(tool_call_id))
    throw new PayloadError("Invalid or missing tool_call_id: expected a string of 1 to 256 characters");
  if (typeof name !== "string" || name === "")
    throw new PayloadError("Invalid or missing name: expected the name of a tool");
  return { tool_call_id, name, arguments: payload.arguments };
}

/** The answer of a call: JSON text, written by hand because this is the hot path. */
export function answerText(toolCallId: string, output: string): string {
  return `{"tool_call_id":${JSON.stringify(toolCallId)},"output":${JSON.stringify(output)}}`;
}

/** The answer to a poll for a call that still runs. */
export function pendingText(toolCallId: string): string {
  return `{"tool_call_id":${JSON.stringify(toolCallId)},"status":"pending"}`;
}

/** The id in a payload that caused a fault, `unknown` where there is none. */
export function idFromPayload(payload: unknown): string {
  return isObject(payload) && isId(payload.tool_call_id) ? payload.tool_call_id : "unknown";
}
