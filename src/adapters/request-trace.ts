import { randomBytes } from "node:crypto";
import { type ContextValues, createContextValues } from "@connectrpc/connect";
import { type Context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
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
  if (telemetry.tracing) return recorded(telemetry, parent, route);
  return unrecorded(parent ?? (ofSeveral ? telemetry.extract(freshParent()) : undefined));
}

function tracestateOf(request: FastifyRequest): string | undefined {
  const state = request.headers.tracestate;
  return Array.isArray(state) ? state.join(",") : state;
}

/** A traceparent of ours that asks nobody to record. */
function freshParent(): string {
  return `00-${randomBytes(16).toString("hex")}-${randomBytes(8).toString("hex")}-00`;
}

function unrecorded(context: Context | undefined): RequestTrace | undefined {
  return context && { values: createContextValues().set(kTrace, context), end: () => undefined };
}

function recorded(telemetry: Telemetry, parent: Context | undefined, route: Route): RequestTrace {
  const context = parent ?? ROOT_CONTEXT;
  const span = telemetry.tracer.startSpan(
    `${route.method} ${route.path}`,
    { kind: SpanKind.SERVER, attributes: { "http.request.method": route.method, "http.route": route.path } },
    context,
  );
  return {
    values: createContextValues().set(kTrace, trace.setSpan(context, span)),
    end(status) {
      span.setAttribute("http.response.status_code", status);
      if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    },
  };
}
