import type { IncomingMessage, ServerResponse } from "node:http";
import { isLoopback } from "../loopback.ts";
import { pathOf } from "../rpc/fast-path/http-exchange.ts";
import { answerUnknownMethod, type Rpc } from "../rpc/rpc.ts";
import type { PortListener, StreamListener } from "./port.ts";
import type { Readiness } from "../app/readiness.ts";

/** Dependencies and settings of the request filter. */
export interface RequestFilterParts {
  /** Handles RPCs. */
  readonly rpc: Pick<Rpc, "fastPath" | "hasMethod">;
  /** Fastify. It handles all other routes, and the RPCs that the fast path does not take. */
  readonly http: PortListener;
  /** Address that the port will be bound to. On a loopback address the `Host` header is checked. */
  readonly host: string;
  /** Additional `Host` values that are accepted on a loopback address. */
  readonly allowedHosts: readonly string[];
  /** Paths whose routes check the host themselves. */
  readonly hostCheckedPaths?: ReadonlySet<string>;
  readonly readiness: Readiness;
}

/** The listeners of the port. */
export interface RequestFilter {
  readonly onRequest: PortListener;
  /** Serves the HTTP/2 streams that the fast path takes. All others are passed to `onRequest`. */
  readonly onStream: StreamListener;
}

/**
 * Creates the listeners of the port. They check the host, pass RPCs to the fast path and everything else to Fastify,
 * and refuse new work while draining. An RPC then gets `unavailable` from the executor, in its own protocol.
 */
export function createRequestFilter(parts: RequestFilterParts): RequestFilter {
  const { rpc, http, hostCheckedPaths, readiness } = parts;
  const acceptsHost = createHostCheck(parts.host, parts.allowedHosts);
  const onRequest: PortListener = (request, response) => {
    const url = request.url ?? "/";
    const host = request.headers.host ?? request.headers[":authority" as "host"];
    if (!acceptsHost(host) && hostCheckedPaths?.has(pathOf(request)) !== true) {
      return answer(request, response, 403, "This Host is not allowed. Add it to JACKFIELD_ALLOWED_HOSTS");
    }
    const coding = request.headers["transfer-encoding"];
    // Node treats `gzip, chunked` as if it were uncompressed.
    if (coding !== undefined && coding.toLowerCase() !== "chunked") {
      return answer(request, response, 501, "Transfer-Encoding must be chunked");
    }
    if (url.startsWith("/jackfield.v1.") || url.startsWith("/grpc.")) {
      if (rpc.fastPath.request(request, response)) return;
      return rpc.hasMethod(pathOf(request)) ? http(request, response) : answerUnknownMethod(request, response);
    }
    const type = request.headers["content-type"];
    if (type === undefined) {
      // Allowed by RFC 9110, 8.3. Fastify does not parse a request without type and body, so it would not answer 415.
      if (request.method !== "GET") request.headers["content-type"] = "application/octet-stream";
    } else if (type !== "application/json" && type.startsWith("application/grpc")) {
      return answerUnknownMethod(request, response);
    }
    if (readiness.draining && !isProbe(url)) return answer(request, response, 503, "The service is shutting down");
    return http(request, response);
  };
  const onStream: StreamListener = (stream, headers, rawHeaders) =>
    acceptsHost(headers.host ?? headers[":authority"]) ? rpc.fastPath.stream(stream, headers, rawHeaders) : undefined;
  return { onRequest, onStream };
}

/**
 * Creates the check of the `Host` header against DNS rebinding. If the port is bound to a loopback address, only
 * localhost, loopback addresses and the allowed hosts (with or without a port) are accepted; otherwise every host is.
 * X-Forwarded-Host is ignored.
 */
export function createHostCheck(bind: string, allowedHosts: readonly string[]): (host: string | undefined) => boolean {
  if (!isLoopback(bind)) return () => true;
  const allowed = new Set(allowedHosts.map((host) => host.toLowerCase()));
  let lastAccepted: string | undefined;
  return (host) => {
    // HTTP/1.0 requests have no Host. Browsers do not send them, so DNS rebinding cannot use them.
    if (host === undefined || host === lastAccepted) return true;
    const lower = host.toLowerCase();
    const name = withoutPort(lower);
    if (name === undefined) return false;
    if (!isLoopback(name) && !allowed.has(lower) && !allowed.has(name)) return false;
    lastAccepted = host;
    return true;
  };
}

function withoutPort(host: string): string | undefined {
  const parts = /^(\[[0-9a-f:.]+\]|[^:/@\s,]+)(?::\d{1,5})?$/.exec(host);
  return parts?.[1]?.replace(/\.$/, "");
}

function isProbe(url: string): boolean {
  const path = url.split("?", 1)[0];
  return path === "/healthz" || path === "/readyz" || path === "/metrics";
}

function answer(request: IncomingMessage, response: ServerResponse, status: number, error: string): void {
  if (request.httpVersionMajor === 1) response.setHeader("connection", "close");
  response.writeHead(status, { "content-type": "application/json; charset=utf-8" });
  response.end(JSON.stringify({ error }));
}
