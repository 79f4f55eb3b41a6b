import type { Context, Span, SpanOptions, Tracer } from "@opentelemetry/api";
import type { Logger } from "pino";

/** The trace that work belongs to. Rooms that know nothing of OpenTelemetry pass it on unchanged. */
export type TraceContext = Context;

/** One line of the audit log. Never contains arguments or outputs. */
export interface AuditEvent {
  /** `conversation_start`, `tool_success`, `tool_failure`, `denied`, … */
  event: string;
  [field: string]: string | number | boolean | undefined;
}

/** The audit line of one execution. Never contains arguments or outputs. */
export interface ExecutionEvent {
  readonly caller: string;
  readonly tenant: string;
  readonly source: string;
  readonly conversationId: string;
  /** "" if there is none: then the line has no such field. */
  readonly sessionId: string;
  /** The AI Gateway's run. If undefined, the line has no such field. */
  readonly runId?: string | undefined;
  /** The job that the call belongs to. If undefined, the line has no such field. */
  readonly jobId?: string | undefined;
  readonly toolName: string;
  readonly toolCallId: string;
  readonly argumentsDigest: string;
  readonly outcome: string;
  readonly latencyMs: number;
  readonly traceId: string;
}

/** The audit log: a separate, hash-chained stream, written outside the request path. */
export interface AuditLog {
  write(event: AuditEvent): void;
  /** Writes the line of one execution, `tool_execution`. */
  executed(event: ExecutionEvent): void;
  /** Flushes pending lines. No line may be written afterwards. */
  close(): Promise<void>;
}

/** A metric declared as data, by a part of the service that telemetry does not know. */
export interface Instrument {
  readonly name: string;
  readonly kind: "counter" | "histogram" | "gauge";
  readonly description: string;
  /** UCUM unit, such as `s` for seconds. */
  readonly unit?: string;
  /** Names of the labels, at most two. */
  readonly labels: readonly string[];
}

/** Adds to a counter, records in a histogram or sets a gauge. Throws a RangeError for an undeclared name. */
export type Measure = (name: string, labels: Readonly<Record<string, string>>, value: number) => void;

/** All measurements of the service, by meaning. attributes.ts defines the exported names. */
export interface Metrics {
  /** Records the end of a call. `ran`: the tool's function started. */
  executed(call: {
    tool: string;
    outcome: string;
    seconds: number;
    ran: boolean;
    caller: string;
    source: string;
  }): void;
  /** Records an answered RPC. `method` is fully qualified, `code` is a Connect code or `ok`. */
  readonly rpcServed: (method: string, code: string, seconds: number) => void;
  /**
   * Creates the instruments that a part of the service declares, and returns the function that records their values.
   */
  measureFor(instruments: readonly Instrument[]): Measure;
  /** Records a delivery attempt. */
  delivered(call: { platform: string; result: "delivered" | "retry" | "dead" }): void;
  /** Records a request that was rejected because of its key or scope. `target` is a method or route as declared. */
  accessRefused(request: { code: "unauthenticated" | "permission_denied"; target: string }): void;
  /** Records a state change of a downstream's circuit breaker. */
  breakerChanged(origin: string, state: "closed" | "open" | "half-open"): void;
  /**
   * Registers a number that is read at each collection: queue depth, job age, dead letters, running executions. Omitted
   * if reading throws.
   */
  gauge(
    name: string,
    description: string,
    read: () => number | Promise<number> | { value: number; attributes: Record<string, string> }[],
  ): void;
}

/** A started span, and the context for its children. */
export interface SpanStart {
  /** The context for nested work. */
  readonly context: Context;
  /** Undefined if nothing is recorded. */
  readonly span: Span | undefined;
}

/** Logs, metrics, spans and audit log of the service. */
export interface Telemetry {
  readonly log: Logger;
  readonly tracer: Tracer;
  readonly metrics: Metrics;
  readonly audit: AuditLog;
  /** False if no span can be recorded: callers may skip creating one. */
  readonly tracing: boolean;
  /** Starts a span under `parent`, or a new trace. If nothing is recorded, `options` is not called. */
  begin(name: string, parent: Context | undefined, options: () => SpanOptions): SpanStart;
  /** Adds a secret text, such as a plugin's secret setting, that no log line, span or audit line may show. */
  hide(secret: string): void;
  /** Adds a temporary secret, such as a token of a downstream. */
  hideToken(token: string): void;
  /** Returns the text without known secrets. */
  redact(text: string): string;
  /** Returns the metrics in Prometheus's text format. */
  prometheus(): Promise<string>;
  /** Returns the context of an incoming W3C traceparent; undefined if there is none. */
  extract(traceparent: string | undefined, tracestate?: string): Context | undefined;
  /** Returns the headers that propagate the context. */
  inject(context: Context): Record<string, string>;
  /** Writes pending log lines. For a process that is ending, because lines are normally written in the background. */
  flushLog(): void;
  close(): Promise<void>;
}
