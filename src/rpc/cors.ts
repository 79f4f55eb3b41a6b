import { cors } from "@connectrpc/connect";
import type { FastifyInstance } from "fastify";

/** Time for which a browser may cache the answer to a preflight, in seconds: the maximum of most browsers. */
const maxAge = 7200;

const allowedHeaders = [...cors.allowedHeaders, "Authorization", "traceparent", "tracestate"].join(", ");
const exposedHeaders = [...cors.exposedHeaders, "Retry-After", "WWW-Authenticate"].join(", ");

/** Returns the CORS headers of an answer, by the Origin of the request. */
export type OriginHeaders = (origin: string | undefined) => Readonly<Record<string, string>>;

const none: Readonly<Record<string, string>> = {};

/** Creates the headers that let pages of the given origins read answers (Fetch standard, section 3.3). */
export function originHeaders(origins: readonly string[]): OriginHeaders {
  if (origins.length === 0) return () => none;
  const allowed = new Set(origins);
  return (origin): Record<string, string> => {
    const vary = { vary: "Origin" };
    if (origin === undefined || !allowed.has(origin)) return vary;
    return { ...vary, "access-control-allow-origin": origin, "access-control-expose-headers": exposedHeaders };
  };
}

/** Lets pages of the given origins call the RPCs of a scope, and answers their preflights. */
export function allowOrigins(scope: FastifyInstance, origins: readonly string[]): void {
  if (origins.length === 0) return;
  const headersFor = originHeaders(origins);
  scope.addHook("onRequest", (request, reply, done) => {
    const headers = headersFor(request.headers.origin);
    reply.headers(headers);
    if (headers["access-control-allow-origin"] === undefined || request.method !== "OPTIONS") return done();
    reply
      .code(204)
      .header("access-control-allow-methods", cors.allowedMethods.join(", "))
      .header("access-control-allow-headers", allowedHeaders)
      .header("access-control-max-age", maxAge)
      .send();
  });
}
