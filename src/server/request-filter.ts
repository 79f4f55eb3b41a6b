import type { IncomingMessage, ServerResponse } from "node:http";
import { pathOf } from "../rpc/fast-path/http-request.ts";
import type { Rpc } from "../rpc/rpc.ts";
import { answerUnknownMethod } from "../rpc/unknown-method.ts";
import type { PortListener, StreamListener } from "./port.ts";
import type { Readiness } from "../app/readiness.ts";

/** The two sides of the port, and what stands before both. */
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
 * Makes the listener of the port: checks the host, sends RPCs to their lane and the rest to the HTTP routes, and refuses
 * new work while draining. An RPC then gets its `unavailable` from the executor, in its own protocol.
 */
export function createRequestFilter(parts: RequestFilterParts): PortListener {
  const { rpc, http, acceptsHost, hostCheckedPaths, readiness } = parts;
  return (request, response) => {
    const url = request.url ?? "/";
    const host = request.headers.host ?? request.headers[":authority" as "host"];
    if (!acceptsHost(host) && !hostCheckedPaths.has(pathOf(request))) {
      return answer(request, response, 403, "This Host is not allowed. JACKFIELD_ALLOWED_HOSTS names the allowed ones");
    }
    if (url.startsWith("/jackfield.v1.") || url.startsWith("/grpc.")) {
      if (rpc.fastPath.request(request, response)) return;
      return rpc.hasMethod(pathOf(request)) ? http(request, response) : answerUnknownMethod(request, response);
    }
    const type = request.headers["content-type"];
    if (type === undefined) {
      // What RFC 9110 8.3 lets us assume. Fastify would skip parsing a request without type and body: no 415.
      if (request.method !== "GET") request.headers["content-type"] = "application/octet-stream";
    } else if (type !== "application/json" && type.startsWith("application/grpc")) {
      return answerUnknownMethod(request, response);
    }
    if (readiness.draining && !isProbe(url)) return answer(request, response, 503, "The service is shutting down");
    return http(request, response);
  };
}

/** The same for an HTTP/2 stream that may be an RPC: those that it does not take come to the gate as requests. */
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
