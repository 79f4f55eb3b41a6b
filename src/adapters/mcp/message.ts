import { isObject } from "../tool-call.ts";
import { codes, McpError, type RequestId } from "./protocol.ts";

/** A parsed JSON-RPC request. */
export interface RequestMessage {
  readonly id: RequestId;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** `params._meta`; empty if there is none. */
  readonly meta: Readonly<Record<string, unknown>>;
}

/** A parsed JSON-RPC notification. */
export interface NotificationMessage {
  readonly id: undefined;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

const none: Readonly<Record<string, unknown>> = {};

/**
 * Reads a parsed body. Returns undefined for a response, which needs no answer. Throws an McpError for a batch or
 * anything else.
 */
export function readMessage(body: unknown): RequestMessage | NotificationMessage | undefined {
  if (Array.isArray(body)) throw invalid("Batches are not supported: send one message a request");
  if (!isObject(body) || body["jsonrpc"] !== "2.0") throw invalid("Expected a JSON-RPC 2.0 message");
  const { id, method } = body;
  if (method === undefined && ("result" in body || "error" in body)) return undefined;
  if (typeof method !== "string") throw invalid("Expected a JSON-RPC 2.0 request with a method");
  if (id !== undefined && !isRequestId(id)) throw invalid("The id of a request must be a string or a number");
  const params = body["params"] ?? none;
  if (!isObject(params)) {
    if (id === undefined) return { id, method, params: none };
    throw new McpError(codes.invalidParams, "params must be an object", { status: 400 });
  }
  if (id === undefined) return { id, method, params };
  const meta = params["_meta"];
  return { id, method, params, meta: isObject(meta) ? meta : none };
}

/** Returns the id in a body that is not a valid message, if present. */
export function idFromBody(body: unknown): RequestId | undefined {
  return isObject(body) && isRequestId(body["id"]) ? body["id"] : undefined;
}

function isRequestId(value: unknown): value is RequestId {
  return typeof value === "string" || (typeof value === "number" && Number.isFinite(value));
}

function invalid(message: string): McpError {
  return new McpError(codes.invalidRequest, message, { status: 400 });
}
