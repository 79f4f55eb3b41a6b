import type { JsonObject } from "@bufbuild/protobuf";
import type { CallContext, ToolCall } from "../../gen/jackfield/v1/tool_pb.ts";

/** Whether a parsed payload is a JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a value is a text of 1 to 256 characters, as ids are. */
export function isId(value: unknown): value is string {
  if (typeof value !== "string" || value === "") return false;
  // A text has at most as many characters as code units: count only where it matters.
  return value.length <= 256 || (value.length <= 512 && Array.from(value).length <= 256);
}

/** A call as the services take it. Arguments that are an object go on as they are, texts are parsed behind the adapter. */
export function toolCall(id: string, name: string, input: unknown): ToolCall {
  return { $typeName: "jackfield.v1.ToolCall", id, name, input: callInput(input) };
}

/** A context as the services take it. */
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
  // A list or a number is refused as arguments by whatever its content is, which may be too deep to be written out.
  return { case: "argumentsJson", value: Array.isArray(input) ? "[]" : JSON.stringify(input) };
}
