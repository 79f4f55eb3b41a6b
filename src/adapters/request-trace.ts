import { type ContextValues, createContextValues } from "@connectrpc/connect";
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import type { FastifyRequest } from "fastify";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { kTrace } from "../telemetry/trace-key.ts";
import type { Route } from "./adapter.ts";

/** The place of one request in the trace. */
export interface RequestTrace {
  readonly values: ContextValues;
  end(status: number): void;
}

/**
 * Begins the request's span, under the platform's where it sent a `traceparent`. Where no span can be recorded, the
 * calls of one batch still share a trace id; a single call without a `traceparent` needs none of this.
 */
export function traceRequest(telemetry: Telemetry, request: FastifyRequest, route: Route): RequestTrace | undefined {
  const incoming = request.headers.traceparent;
  const ofSeveral = route.kind === "stream" || route.kind === "accept";
  if (!telemetry.tracing && incoming === undefined && !ofSeveral) return undefined;
  const parent = typeof incoming === "string" ? telemetry.extract(incoming, tracestateOf(request)) : undefined;
  if (parent === undefined && !telemetry.tracing && !ofSeveral) return undefined;
  const { context, span } = telemetry.begin(`${route.method} ${route.path}`, parent, () => ({
    kind: SpanKind.SERVER,
    attributes: { "http.request.method": route.method, "http.route": route.path },
  }));
  return {
    values: createContextValues().set(kTrace, context),
    end(status) {
      if (span === undefined) return;
      span.setAttribute("http.response.status_code", status);
      if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    },
  };
}

function tracestateOf(request: FastifyRequest): string | undefined {
  const state = request.headers.tracestate;
  return Array.isArray(state) ? state.join(",") : state;
}
