import { randomFillSync } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { JsonObject } from "@bufbuild/protobuf";
import type { CallContext, ToolCall } from "../../gen/jackfield/v1/tool_pb.ts";

/** Reports whether a parsed payload is a JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reports whether a value is a valid id: a string of 1 to 256 code points. */
export function isId(value: unknown): value is string {
  if (typeof value !== "string" || value === "") return false;
  if (value.length > 256 && (value.length > 512 || Array.from(value).length > 256)) return false;
  // A lone surrogate cannot be encoded as UTF-8, so a different id would be stored.
  return value.isWellFormed();
}

/** Creates a call of the services. Arguments given as an object stay as they are; text is parsed by the pipeline. */
export function toolCall(id: string, name: string, input: unknown): ToolCall {
  return { $typeName: "jackfield.v1.ToolCall", id, name, input: callInput(input) };
}

/** Creates the context of a call. */
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
  // A list or a number is refused as arguments whatever it contains, and may be nested too deeply to be serialised.
  return { case: "argumentsJson", value: Array.isArray(input) ? "[]" : JSON.stringify(input) };
}

/**
 * Scope of all calls whose id is an idempotency key: a key means the same call for one caller, on every entry point.
 */
const keyScope = "idempotency-key";

/** The message for an invalid idempotency key. */
export const invalidKey = "Invalid idempotency key: expected 1 to 256 characters";

/** The message for an invalid conversation id. */
export const invalidConversation = "Invalid conversation id: expected 1 to 256 characters";

const idBytes = 16;
const pool = Buffer.alloc(256 * idBytes);
let taken = pool.length;

/** Returns 128 random bits as text: the id of a call without a key. Faster than a system call for each id. */
export function randomCallId(): string {
  if (taken === pool.length) {
    randomFillSync(pool);
    taken = 0;
  }
  return pool.toString("base64url", taken, (taken += idBytes));
}

/** Returns the context of a call whose id is an idempotency key. */
export function keyedContext(conversationId: string): CallContext {
  return { $typeName: "jackfield.v1.CallContext", conversationId, sessionId: "", runId: keyScope, source: "" };
}

/** Reports whether a context belongs to a call whose id is an idempotency key. */
export function isKeyed(context: CallContext | undefined): boolean {
  return context?.runId === keyScope;
}

/** Returns the `Idempotency-Key` of a request, if present. It may be too long to be valid. */
export function keyFromHeaders(headers: IncomingHttpHeaders): string | undefined {
  return filledIn(headers["idempotency-key"]);
}

/** Returns the `Jackfield-Conversation-Id` of a request, if present. It may be too long to be valid. */
export function conversationFromHeaders(headers: IncomingHttpHeaders): string | undefined {
  return filledIn(headers["jackfield-conversation-id"]);
}

/** Returns a header's value; undefined if it is absent. */
function filledIn(value: string | string[] | undefined): string | undefined {
  const text = Array.isArray(value) ? value.join(", ") : value;
  return isFilledIn(text) ? text : undefined;
}

/** Reports whether a platform has given a value: an empty text, and a template that was not filled in, are none. */
export function isFilledIn(value: unknown): boolean {
  if (typeof value !== "string") return value !== undefined && value !== null;
  return value !== "" && !["${", "$!{", "{{"].some((start) => value.startsWith(start));
}
