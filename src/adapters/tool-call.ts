import type { JsonObject } from "@bufbuild/protobuf";
import type { CallContext, ToolCall } from "../../gen/jackfield/v1/tool_pb.ts";

/** Tells whether a parsed payload is a JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Tells whether a value is a string of 1 to 256 code points, as ids are. */
export function isId(value: unknown): value is string {
  if (typeof value !== "string" || value === "") return false;
  if (value.length > 256 && (value.length > 512 || Array.from(value).length > 256)) return false;
  // A lone surrogate cannot be written as UTF-8: the id that is stored would be another one.
  return value.isWellFormed();
}

/** Makes a call of the services. Arguments that are an object stay as they are; text is parsed by the pipeline. */
export function toolCall(id: string, name: string, input: unknown): ToolCall {
  return { $typeName: "jackfield.v1.ToolCall", id, name, input: callInput(input) };
}

/** Makes the context of a call. */
export function callContext(ids: {
  conversationId?: string;
  sessionId?: string;
  runId?: string;
  source?: string;
}): CallContext {
  return { $typeName: "jackfield.v1.CallContext", conversationId: "", sessionId: "", runId: "", source: "", ...ids };
}

function callInput(input: unknown): ToolCall["input"] {
  if (input === undefined || input === null) return { case: "argumentsJson", value: "" };
  if (typeof input === "string") return { case: "argumentsJson", value: input };
  if (isObject(input)) return { case: "arguments", value: input as JsonObject };
  // A list or a number is refused as arguments whatever it contains, and may be too deep to be written out.
  return { case: "argumentsJson", value: Array.isArray(input) ? "[]" : JSON.stringify(input) };
}
