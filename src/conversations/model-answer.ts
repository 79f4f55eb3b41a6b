import { create, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { type ToolCall, ToolCallSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { rpcError } from "../errors.ts";
import { parseJson } from "../json/exact-number.ts";
import type { Answer } from "../outbound/http.ts";

/** An answer of the model. */
export interface ModelAnswer {
  /** The message as received. It is sent back with the next request. */
  readonly message: JsonObject;
  readonly text: string;
  /** The requested calls, under the names by which the tools were offered. */
  readonly calls: readonly ToolCall[];
}

/** Reads `choices[0].message`. Throws `unavailable` if the answer has another shape. */
export function modelAnswerFrom(answer: Pick<Answer, "text">): ModelAnswer {
  const body = parsed(answer.text());
  const choices = isObject(body) ? body["choices"] : undefined;
  const choice = Array.isArray(choices) ? choices[0] : undefined;
  const message = isObject(choice) ? choice["message"] : undefined;
  if (!isObject(message)) throw malformed("has no choices[0].message");
  const requests = message["tool_calls"] ?? [];
  if (!Array.isArray(requests)) throw malformed("has tool_calls that are not an array");
  const calls = requests.map(toolCallFrom);
  return { message: { ...message, role: message["role"] ?? "assistant" }, text: textOf(message["content"]), calls };
}

function toolCallFrom(request: JsonValue): ToolCall {
  const { id, function: tool } = isObject(request) ? request : {};
  if (typeof id !== "string" || id === "" || !isObject(tool) || typeof tool["name"] !== "string") {
    throw malformed("has a tool call without id or function name");
  }
  const given = tool["arguments"] ?? "";
  // As text, which keeps the digits of numbers: what a double cannot hold is then refused as on every other path.
  const input: ToolCall["input"] = {
    case: "argumentsJson",
    value: typeof given === "string" ? given : JSON.stringify(given),
  };
  return create(ToolCallSchema, { id, name: tool["name"], input });
}

/** Returns the text of a message: its content, or the text parts of its content. */
function textOf(content: JsonValue | undefined): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part) => (isObject(part) && typeof part["text"] === "string" ? part["text"] : "")).join("");
}

function parsed(text: string): JsonValue {
  try {
    return parseJson(text) as JsonValue;
  } catch (reason) {
    throw rpcError("gateway-failed", "answered something that is not JSON", reason);
  }
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function malformed(problem: string): Error {
  return rpcError("gateway-failed", `gave an answer that ${problem}`);
}
