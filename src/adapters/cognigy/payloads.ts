import { PayloadError } from "../route.ts";
import { isId, isObject } from "../tool-call.ts";

/** A callback as Cognigy sends it. */
export interface CallbackPayload {
  readonly tool_call_id: string;
  readonly name: string;
  readonly arguments: unknown;
}

/** Reads a payload. Throws a PayloadError. Faulty arguments are no error here: the model reads what is wrong with them. */
export function readCallback(payload: unknown): CallbackPayload {
  if (!isObject(payload)) throw new PayloadError("Expected a JSON object with tool_call_id, name and arguments");
  const { tool_call_id, name } = payload;
  if (!isId(tool_call_id))
    throw new PayloadError("Invalid or missing tool_call_id: expected a string of 1 to 256 characters");
  if (typeof name !== "string" || name === "")
    throw new PayloadError("Invalid or missing name: expected the name of a tool");
  return { tool_call_id, name, arguments: payload.arguments };
}

/** Writes the answer of a call as JSON text, by hand because this is the hot path. */
export function answerText(toolCallId: string, output: string): string {
  return `{"tool_call_id":${JSON.stringify(toolCallId)},"output":${JSON.stringify(output)}}`;
}

/** Writes the answer to a poll for a call that is still running. */
export function pendingText(toolCallId: string): string {
  return `{"tool_call_id":${JSON.stringify(toolCallId)},"status":"pending"}`;
}

/** Returns the id in a payload that could not be served, `unknown` where there is none. */
export function idFromPayload(payload: unknown): string {
  return isObject(payload) && isId(payload.tool_call_id) ? payload.tool_call_id : "unknown";
}
