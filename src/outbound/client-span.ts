import { context as activeContext, type Context, type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { Telemetry } from "../telemetry/telemetry.ts";

/** What is needed to trace requests. */
export type Tracing = Pick<Telemetry, "tracer" | "tracing" | "inject">;

/** One request as a client span; all of it does nothing where nothing is traced. */
export interface ClientSpan {
  /** Headers that carry the trace on. */
  readonly headers: Record<string, string>;
  answered(status: number): void;
  failed(kind: string): void;
  end(): void;
}

/**
 * Begins the span of one request. It holds method, host and status, never path or query: they hold arguments.
 */
export function startClientSpan(tracing: Tracing, parent: Context | undefined, method: string, url: URL): ClientSpan {
  if (!tracing.tracing) return untraced(parent === undefined ? {} : tracing.inject(parent));
  const from = parent ?? activeContext.active();
  const attributes = {
    "http.request.method": method,
    "server.address": url.hostname,
    "server.port": Number(url.port) || (url.protocol === "https:" ? 443 : 80),
  };
  const span = tracing.tracer.startSpan(method, { kind: SpanKind.CLIENT, attributes }, from);
  return traced(span, tracing.inject(trace.setSpan(from, span)));
}

function traced(span: Span, headers: Record<string, string>): ClientSpan {
  return {
    headers,
    answered(status) {
      span.setAttribute("http.response.status_code", status);
      if (status >= 400) this.failed(String(status));
    },
    failed(kind) {
      span.setAttribute("error.type", kind);
      span.setStatus({ code: SpanStatusCode.ERROR });
    },
    end: () => span.end(),
  };
}

function untraced(headers: Record<string, string>): ClientSpan {
  return { headers, answered() {}, failed() {}, end() {} };
}
