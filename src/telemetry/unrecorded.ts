import { type Context, ROOT_CONTEXT, type Span, trace, TraceFlags } from "@opentelemetry/api";
import { newSpanId } from "./ids.ts";

/** The API's private key for the span in a context, found by observing a context. */
const spanKey = keyOfSpans();

/**
 * The context of a trace that is not recorded. It has the ids that log lines and downstreams propagate; everything else
 * is created on demand, because a context with a span costs the library three objects and a map.
 */
export class UnrecordedContext implements Context {
  readonly #traceId: string;
  #spanId: string | undefined;
  #span: Span | undefined;

  /** `spanId`: the remote parent span. */
  constructor(traceId: string, spanId?: string) {
    this.#traceId = traceId;
    this.#spanId = spanId;
  }

  /** The `traceparent` header that propagates the trace (W3C Trace Context). */
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
