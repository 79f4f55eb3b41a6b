import {
  context as contexts,
  INVALID_SPAN_CONTEXT,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  trace,
  TraceFlags,
} from "@opentelemetry/api";
import type { Context, SpanOptions, TextMapGetter, TextMapSetter, Tracer } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import type { Resource } from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  SimpleSpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { Sampler, SpanExporter, SpanProcessor } from "@opentelemetry/sdk-trace";
import type { OtelConfig, OtlpTarget, Sampling } from "../config/config.ts";
import { newSpanId, newTraceId } from "./ids.ts";
import type { Redactor } from "./redact.ts";
import type { SpanStart } from "./telemetry.ts";
import { UnrecordedContext } from "./unrecorded.ts";

/** Creates spans, and transfers trace contexts into and out of the process. */
export interface Tracing {
  readonly tracer: Tracer;
  /** False if no span is recorded. */
  readonly tracing: boolean;
  /** Starts a span under `parent`, or a new trace. If nothing is recorded, `options` is not called. */
  begin(name: string, parent: Context | undefined, options: () => SpanOptions): SpanStart;
  extract(traceparent: string | undefined, tracestate?: string): Context | undefined;
  inject(context: Context): Record<string, string>;
  close(): Promise<void>;
}

const getter: TextMapGetter<Record<string, string | undefined>> = {
  get: (carrier, key) => carrier[key],
  keys: (carrier) => Object.keys(carrier),
};
const setter: TextMapSetter<Record<string, string>> = {
  set(carrier, key, value) {
    carrier[key] = value;
  },
};

/** A valid traceparent of an unsampled trace, by far the most common kind. */
const unsampled = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-00$/;

/**
 * Creates the tracer. Without an endpoint and an exporter, spans cost nothing and the incoming context is passed on.
 */
export function createTracing(options: {
  otel: OtelConfig;
  resource: Resource;
  version: string;
  redactor: Redactor;
  /** Receives each span when it ends, in addition to the endpoint. */
  spanExporter?: SpanExporter | undefined;
}): Tracing {
  const { otel, resource, version, redactor, spanExporter } = options;
  const spanProcessors: SpanProcessor[] = [];
  if (otel.traces !== undefined) {
    spanProcessors.push(
      new BatchSpanProcessor({
        exporter: redactingExporter(new OTLPTraceExporter(otlpOptions(otel.traces)), redactor),
      }),
    );
  }
  if (spanExporter !== undefined)
    spanProcessors.push(new SimpleSpanProcessor({ exporter: redactingExporter(spanExporter, redactor) }));
  const tracing = spanProcessors.length > 0;
  const ids = createIds();
  const provider = tracing
    ? new TracerProvider({ resource, sampler: samplerFrom(otel.sampling), spanProcessors, idGenerator: ids })
    : undefined;
  const propagator = new W3CTraceContextPropagator();
  const tracer = (provider ?? new ProxyTracerProvider()).getTracer("jackfield", version);
  const decides = otel.sampling.parentBased ? ratioOf(otel.sampling.ratio) : undefined;
  return {
    tracer: decides === undefined ? tracer : samplingTracer(tracer, ids, decides),
    tracing,
    begin(name, parent, options) {
      if (parent instanceof UnrecordedContext) return { context: parent, span: undefined };
      if (!tracing && parent !== undefined) return { context: parent, span: undefined };
      if (parent === undefined && (!tracing || decides !== undefined)) {
        const traceId = newTraceId();
        if (!tracing || decides?.(traceId) === false)
          return { context: new UnrecordedContext(traceId), span: undefined };
        ids.chosen = traceId;
      }
      const span = tracer.startSpan(name, options(), parent ?? ROOT_CONTEXT);
      return { context: trace.setSpan(parent ?? ROOT_CONTEXT, span), span };
    },
    extract(traceparent, tracestate) {
      if (traceparent === undefined) return undefined;
      if (decides !== undefined && tracestate === undefined) {
        const found = unsampled.exec(traceparent);
        if (found !== null) return new UnrecordedContext(found[1]!, found[2]);
      }
      const context = propagator.extract(ROOT_CONTEXT, { traceparent, tracestate }, getter);
      return trace.getSpanContext(context) === undefined ? undefined : context;
    },
    inject(context) {
      if (context instanceof UnrecordedContext) return { traceparent: context.traceparent };
      const headers: Record<string, string> = {};
      if ((trace.getSpanContext(context) ?? INVALID_SPAN_CONTEXT) !== INVALID_SPAN_CONTEXT)
        propagator.inject(context, headers, setter);
      return headers;
    },
    close: () => provider?.shutdown() ?? Promise.resolve(),
  };
}

/** Generates ids of traces and spans. The next trace gets the id in `chosen`, if set. */
interface Ids {
  chosen: string | undefined;
  generateTraceId(): string;
  generateSpanId(): string;
}

function createIds(): Ids {
  return {
    chosen: undefined,
    generateTraceId() {
      const id = this.chosen ?? newTraceId();
      this.chosen = undefined;
      return id;
    },
    generateSpanId: newSpanId,
  };
}

/** Decides by its id whether a trace is recorded, in the same way as the library's `TraceIdRatioBasedSampler`. */
export function ratioOf(ratio: number): (traceId: string) => boolean {
  const bound = Math.floor(ratio * 0xffff_ffff);
  return (traceId) => {
    let sum = 0;
    for (let at = 0; at < 32; at += 8) {
      let word = 0;
      for (let digit = at; digit < at + 8; digit++) word = (word << 4) | hexValue(traceId.charCodeAt(digit));
      sum ^= word;
    }
    return sum >>> 0 < bound;
  };
}

/** Returns the value of a lower-case hexadecimal digit. Several times as fast as `parseInt` of a slice. */
function hexValue(code: number): number {
  return code < 58 ? code - 48 : code - 87;
}

/**
 * Creates a tracer that samples first and creates nothing for an unsampled span, whereas the library creates half a
 * span before it decides. Children of unsampled spans follow their parent.
 */
function samplingTracer(tracer: Tracer, ids: Ids, decides: (traceId: string) => boolean): Tracer {
  return {
    startSpan(name, options, context = contexts.active()) {
      const parent = options?.root === true ? undefined : trace.getSpanContext(context);
      if (parent === undefined) {
        const traceId = newTraceId();
        if (!decides(traceId)) return trace.getSpan(new UnrecordedContext(traceId))!;
        ids.chosen = traceId;
      } else if (!parent.isRemote && (parent.traceFlags & TraceFlags.SAMPLED) === 0) {
        return trace.wrapSpanContext(parent);
      }
      return tracer.startSpan(name, options, context);
    },
    startActiveSpan: tracer.startActiveSpan.bind(tracer),
  };
}

/** Returns the options of OTLP exporters. */
export function otlpOptions(target: OtlpTarget): {
  url: string;
  headers: Record<string, string>;
  timeoutMillis: number;
} {
  const headers = Object.fromEntries(Object.entries(target.headers).map(([name, value]) => [name, value.reveal()]));
  return { url: target.url, headers, timeoutMillis: target.timeoutMs };
}

function samplerFrom({ parentBased, ratio }: Sampling): Sampler {
  const root = new TraceIdRatioBasedSampler(ratio);
  return parentBased ? new ParentBasedSampler({ root }) : root;
}

/** Removes known secrets from spans before export, outside the request path. */
function redactingExporter(exporter: SpanExporter, redactor: Redactor): SpanExporter {
  const clean = (attributes: Record<string, unknown> | undefined): void => {
    for (const [key, value] of Object.entries(attributes ?? {})) {
      if (typeof value === "string") attributes![key] = redactor.redact(value);
    }
  };
  return {
    export(spans, done) {
      for (const span of spans) {
        clean(span.attributes);
        for (const event of span.events) clean(event.attributes);
        if (span.status.message !== undefined) span.status.message = redactor.redact(span.status.message);
      }
      exporter.export(spans, done);
    },
    shutdown: () => exporter.shutdown(),
    ...(exporter.forceFlush && { forceFlush: () => exporter.forceFlush!() }),
  };
}
