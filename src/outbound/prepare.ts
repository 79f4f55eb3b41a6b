import type { HttpRequest } from "../plugin/tool.ts";
import { acceptEncoding } from "./decode.ts";
import { DownstreamError } from "./downstream-error.ts";

/** A request ready to be sent. */
export interface PreparedRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array | undefined;
  /** Header values that must not be quoted back. */
  readonly secrets: readonly string[];
}

const secretHeader = /auth|key|token|secret|cookie|password/;

/** Builds URL, headers and body. Throws a DownstreamError where the URL is none. */
export function prepare(target: string | URL, request: HttpRequest, userAgent: string): PreparedRequest {
  const url = URL.parse(String(target));
  if (url === null) throw new DownstreamError("refused", "The URL is not valid.", { sent: false });
  for (const [name, value] of Object.entries(request.query ?? {})) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  const headers: Record<string, string> = {
    "user-agent": userAgent,
    accept: "application/json",
    "accept-encoding": acceptEncoding,
  };
  if (request.json !== undefined) headers["content-type"] = "application/json";
  if (request.idempotencyKey !== undefined) headers["idempotency-key"] = request.idempotencyKey;
  const secrets: string[] = [];
  for (const [name, value] of Object.entries(request.headers ?? {})) {
    const lower = name.toLowerCase();
    headers[lower] = value;
    if (lower !== "idempotency-key" && secretHeader.test(lower)) secrets.push(value, value.replace(/^\w+\s+/, ""));
  }
  return {
    url,
    method: request.method ?? "GET",
    headers,
    body: request.json === undefined ? request.body : JSON.stringify(request.json),
    secrets,
  };
}
