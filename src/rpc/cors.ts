import { cors } from "@connectrpc/connect";
import type { FastifyInstance } from "fastify";

/** Seconds for which a browser may remember the answer to a preflight: what most of them allow at most. */
const maxAge = 7200;

const allowedHeaders = [...cors.allowedHeaders, "Authorization", "traceparent", "tracestate"].join(", ");
const exposedHeaders = [...cors.exposedHeaders, "Retry-After"].join(", ");

/** Lets pages of the given origins call the RPCs of a scope. Source: the Fetch standard, section 4.8. */
export function allowOrigins(scope: FastifyInstance, origins: readonly string[]): void {
  if (origins.length === 0) return;
  const allowed = new Set(origins);
  scope.addHook("onRequest", (request, reply, done) => {
    const { origin } = request.headers;
    reply.header("vary", "Origin");
    if (origin === undefined || !allowed.has(origin)) return done();
    reply.header("access-control-allow-origin", origin);
    reply.header("access-control-expose-headers", exposedHeaders);
    if (request.method !== "OPTIONS") return done();
    reply
      .code(204)
      .header("access-control-allow-methods", cors.allowedMethods.join(", "))
      .header("access-control-allow-headers", allowedHeaders)
      .header("access-control-max-age", maxAge)
      .send();
  });
}
