import { createContextValues } from "@connectrpc/connect";
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import type { RequestTrace, TraceStart } from "../adapters/adapter.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { kTrace } from "../telemetry/trace-key.ts";

/**
 * Starts the span of an adapter's request, as child of the platform's where it sent a `traceparent`. Where nothing is
 * recorded, the calls of one batch still share a trace id; a single call without a `traceparent` needs none of this.
 */
export function startRequestTrace(
  telemetry: Pick<Telemetry, "begin" | "extract" | "tracing">,
  { method, path, traceparent, tracestate, shared }: TraceStart,
): RequestTrace | undefined {
  if (!telemetry.tracing && traceparent === undefined && !shared) return undefined;
  const parent = traceparent === undefined ? undefined : telemetry.extract(traceparent, tracestate);
  if (parent === undefined && !telemetry.tracing && !shared) return undefined;
  const { context, span } = telemetry.begin(`${method} ${path}`, parent, () => ({
    kind: SpanKind.SERVER,
    attributes: { "http.request.method": method, "http.route": path },
  }));
  return {
    values: createContextValues().set(kTrace, context),
    set(attributes) {
      for (const [name, value] of Object.entries(attributes)) if (value !== "") span?.setAttribute(name, value);
    },
    end(status) {
      if (span === undefined) return;
      span.setAttribute("http.response.status_code", status);
      if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    },
  };
}
