import type { IncomingMessage, ServerResponse } from "node:http";
import { pathOf } from "../rpc/fast-path/http-request.ts";
import type { Rpc } from "../rpc/rpc.ts";
import { answerUnknownMethod } from "../rpc/unknown-method.ts";
import type { PortListener, StreamListener } from "./port.ts";
import type { Readiness } from "../app/readiness.ts";

/** What the request filter passes requests to, and what it checks. */
export interface RequestFilterParts {
  /** Answers RPCs. */
  readonly rpc: Pick<Rpc, "fastPath" | "hasMethod">;
  /** Fastify: every other route, and the RPCs that the fast path leaves. */
  readonly http: PortListener;
  readonly acceptsHost: (host: string | undefined) => boolean;
  /** Paths whose routes check the host themselves. */
  readonly hostCheckedPaths: ReadonlySet<string>;
  readonly readiness: Readiness;
}

/**
 * Creates the listener of the port: checks the host, passes RPCs to the fast path and everything else to Fastify, and
 * refuses new work while draining. An RPC then gets `unavailable` from the executor, in its own protocol.
 */
export function createRequestFilter(parts: RequestFilterParts): PortListener {
  const { rpc, http, acceptsHost, hostCheckedPaths, readiness } = parts;
  return (request, response) => {
    const url = request.url ?? "/";
    const host = request.headers.host ?? request.headers[":authority" as "host"];
    if (!acceptsHost(host) && !hostCheckedPaths.has(pathOf(request))) {
      return answer(request, response, 403, "This Host is not allowed. JACKFIELD_ALLOWED_HOSTS names the allowed ones");
    }
    const coding = request.headers["transfer-encoding"];
    // Node reads `gzip, chunked` as if it were not compressed.
    if (coding !== undefined && coding.toLowerCase() !== "chunked") {
      return answer(request, response, 501, "Transfer-Encoding must be chunked");
    }
    if (url.startsWith("/jackfield.v1.") || url.startsWith("/grpc.")) {
      if (rpc.fastPath.request(request, response)) return;
      return rpc.hasMethod(pathOf(request)) ? http(request, response) : answerUnknownMethod(request, response);
    }
    const type = request.headers["content-type"];
    if (type === undefined) {
      // As RFC 9110 8.3 allows. Fastify would not parse a request without type and body, so that no 415 came.
      if (request.method !== "GET") request.headers["content-type"] = "application/octet-stream";
    } else if (type !== "application/json" && type.startsWith("application/grpc")) {
      return answerUnknownMethod(request, response);
    }
    if (readiness.draining && !isProbe(url)) return answer(request, response, 503, "The service is shutting down");
    return http(request, response);
  };
}

/** The same for an HTTP/2 stream: one that the fast path does not take comes to the request filter as a request. */
export function createStreamFilter({
  rpc,
  acceptsHost,
}: Pick<RequestFilterParts, "rpc" | "acceptsHost">): StreamListener {
  return (stream, headers, rawHeaders) =>
    acceptsHost(headers.host ?? headers[":authority"]) ? rpc.fastPath.stream(stream, headers, rawHeaders) : undefined;
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
