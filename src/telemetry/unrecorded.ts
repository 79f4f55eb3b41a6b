import { type Context, ROOT_CONTEXT, type Span, trace, TraceFlags } from "@opentelemetry/api";
import { newSpanId } from "./ids.ts";

/** The key under which the API keeps the span in a context; it says so to nobody but the contexts themselves. */
const spanKey = keyOfSpans();

/**
 * The context of a trace of which nothing is recorded. It has ids that log lines and downstreams carry on; the
 * rest is made when somebody asks: a context with a span in it costs the library three objects and a map.
 */
export class Unrecorded implements Context {
  readonly #traceId: string;
  #spanId: string | undefined;
  #span: Span | undefined;

  /** `spanId`: of the span elsewhere that it goes on from. */
  constructor(traceId: string, spanId?: string) {
    this.#traceId = traceId;
    this.#spanId = spanId;
  }

  /** How the trace is carried on (W3C Trace Context). */
  get traceparent(): string {
    return `00-${this.#traceId}-${(this.#spanId ??= newSpanId())}-00`;
  }

  getValue(key: symbol): unknown {
    if (key !== spanKey) return undefined;
    return (this.#span ??= trace.wrapSpanContext({
      traceId: this.#traceId,
      spanId: (this.#spanId ??= newSpanId()),
      traceFlags: TraceFlags.NONE,
    }));
  }

  setValue(key: symbol, value: unknown): Context {
    return ROOT_CONTEXT.setValue(spanKey, this.getValue(spanKey)).setValue(key, value);
  }

  deleteValue(key: symbol): Context {
    return key === spanKey ? ROOT_CONTEXT : this;
  }
}

function keyOfSpans(): symbol {
  let found: symbol | undefined;
  const probe: Context = {
    getValue: () => undefined,
    setValue: (key) => ((found = key), probe),
    deleteValue: () => probe,
  };
  trace.setSpan(probe, trace.wrapSpanContext({ traceId: "", spanId: "", traceFlags: TraceFlags.NONE }));
  return found!;
}
