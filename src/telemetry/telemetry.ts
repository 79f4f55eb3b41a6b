import type { Context, Span, SpanOptions, Tracer } from "@opentelemetry/api";
import type { Logger } from "pino";
import type { Instrument, Measure } from "./instruments.ts";

/** The trace that work belongs to: rooms that know nothing of OpenTelemetry carry it on as it is. */
export type TraceContext = Context;

/** One line of the audit log. Never holds arguments or outputs. */
export interface AuditEvent {
  /** `conversation_start`, `tool_success`, `tool_failure`, `denied`, … */
  event: string;
  [field: string]: string | number | boolean | undefined;
}

/** The line of one execution. Never holds arguments or outputs. */
export interface ExecutionEvent {
  readonly caller: string;
  readonly tenant: string;
  readonly source: string;
  readonly conversationId: string;
  /** "" where there is none: then the line has no such field. */
  readonly sessionId: string;
  /** The run of the AI Gateway, where there is one: else the line has no such field. */
  readonly runId?: string | undefined;
  /** The job, where the call belongs to one: else the line has no such field. */
  readonly jobId?: string | undefined;
  readonly toolName: string;
  readonly toolCallId: string;
  readonly argumentsDigest: string;
  readonly outcome: string;
  readonly latencyMs: number;
  readonly traceId: string;
}

/** The audit log: its own stream, hash-chained, written behind the request path. */
export interface AuditLog {
  write(event: AuditEvent): void;
  /** Writes the line of one execution, `tool_execution`. */
  executed(event: ExecutionEvent): void;
  /** Flushes what waits; no line may be written after it. */
  close(): Promise<void>;
}

/** Every measurement of the service, by meaning; the names on the wire are in attributes.ts. */
export interface Metrics {
  /** One call ended. `ran`: the tool's function started. */
  executed(call: {
    tool: string;
    outcome: string;
    seconds: number;
    ran: boolean;
    caller: string;
    source: string;
  }): void;
  /** One RPC was answered. `method` is fully qualified, `code` a Connect code or `ok`. */
  readonly rpcServed: (method: string, code: string, seconds: number) => void;
  /** Makes instruments that a part of the service declares, and returns the function that records their values. */
  measureFor(instruments: readonly Instrument[]): Measure;
  /** A delivery was tried. */
  delivered(call: { platform: string; result: "delivered" | "retry" | "dead" }): void;
  /** A request was refused because of its key or scope. `target` is a method or route as declared. */
  accessRefused(request: { code: "unauthenticated" | "permission_denied"; target: string }): void;
  /** A downstream's breaker changed its state. */
  breakerChanged(origin: string, state: "closed" | "open" | "half-open"): void;
  /** A number read at each collection: queue depth, job age, dead letters, running executions. Left out where it throws. */
  gauge(
    name: string,
    description: string,
    read: () => number | Promise<number> | { value: number; attributes: Record<string, string> }[],
  ): void;
}

/** A piece of work in its trace. */
export interface SpanStart {
  /** What hangs under it. */
  readonly context: Context;
  /** Undefined where nothing is recorded. */
  readonly span: Span | undefined;
}

/** What watches the service. */
export interface Telemetry {
  readonly log: Logger;
  readonly tracer: Tracer;
  readonly metrics: Metrics;
  readonly audit: AuditLog;
  /** False where no span can be recorded: callers may skip making one. */
  readonly tracing: boolean;
  /** Begins a span under `parent`, or a trace of its own. Where nothing is recorded, `options` is not asked for. */
  begin(name: string, parent: Context | undefined, options: () => SpanOptions): SpanStart;
  /** Adds a text that no log line, span or audit line may show: a plugin's value marked secret. */
  hide(secret: string): void;
  /** The same for a text that is secret for a while, such as a token of a downstream. */
  hideToken(token: string): void;
  /** The text without any known secret. */
  redact(text: string): string;
  /** The text that Prometheus reads. */
  prometheus(): Promise<string>;
  /** The context of an incoming W3C traceparent, or undefined where there is none. */
  extract(traceparent: string | undefined, tracestate?: string): Context | undefined;
  /** Headers that carry the context on. */
  inject(context: Context): Record<string, string>;
  /** Writes the log lines that wait. For a process that ends: lines are written beside the work. */
  flushLog(): void;
  close(): Promise<void>;
}
