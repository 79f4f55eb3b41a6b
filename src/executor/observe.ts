import { type Context, type Span, SpanKind, type SpanOptions, SpanStatusCode, trace } from "@opentelemetry/api";
import { Outcome, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { CallScope } from "../ledger/ledger.ts";
import { attributes, spans } from "../telemetry/attributes.ts";
import { newTraceId } from "../telemetry/ids.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";

/** One execution as it is watched. */
export interface Observation {
  /** Context of the execution's span, for the requests it makes. */
  readonly trace: Context | undefined;
  readonly traceId: string;
  /** Milliseconds since it began. */
  readonly elapsedMs: number;
  /** It has its result. One that is another execution's is counted nowhere. */
  ended(result: ToolResult, ran: boolean, digest: string): void;
  /** It could not be executed. */
  failed(): void;
}

/** Starts watching an execution: span, metrics and audit line. The stages know nothing of it. */
export type Observe = (
  toolName: string,
  callId: string,
  scope: CallScope,
  caller: string,
  parent: Context | undefined,
) => Observation;

const outcomeNames: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(Outcome).map(([name, number]) => [number, name]),
);

/** The name of an outcome without its prefix: `OK`, `TIMED_OUT`. */
export function outcomeName(outcome: Outcome): string {
  return outcomeNames[outcome] ?? "UNSPECIFIED";
}

/** Creates the watcher of executions. */
export function createObserve(telemetry: Telemetry): Observe {
  return (toolName, callId, scope, caller, parent) => new Watched(telemetry, toolName, callId, scope, caller, parent);
}

class Watched implements Observation {
  readonly trace: Context | undefined;
  readonly #telemetry: Telemetry;
  readonly #toolName: string;
  readonly #callId: string;
  readonly #scope: CallScope;
  readonly #caller: string;
  readonly #span: Span | undefined;
  readonly #startedAt = performance.now();
  #traceId: string | undefined;

  constructor(
    telemetry: Telemetry,
    toolName: string,
    callId: string,
    scope: CallScope,
    caller: string,
    parent: Context | undefined,
  ) {
    this.#telemetry = telemetry;
    this.#toolName = toolName;
    this.#callId = callId;
    this.#scope = scope;
    this.#caller = caller;
    if (telemetry.tracing) {
      const options = (): SpanOptions => spanOptions(toolName, callId, scope);
      const { context, span } = telemetry.begin(spans.execution(toolName), parent, options);
      this.trace = context;
      this.#span = span;
    } else {
      this.trace = parent;
    }
  }

  get traceId(): string {
    return (this.#traceId ??= traceIdOf(this.trace) ?? newTraceId());
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedAt;
  }

  failed(): void {
    this.#span?.setStatus({ code: SpanStatusCode.ERROR });
    this.#span?.end();
  }

  ended(result: ToolResult, ran: boolean, digest: string): void {
    const span = this.#span;
    if (result.replayed) return span?.end();
    const ms = this.elapsedMs;
    const outcome = outcomeName(result.outcome);
    const { metrics, audit } = this.#telemetry;
    const { source, tenant, conversationId, sessionId } = this.#scope;
    metrics.executed({ tool: this.#toolName, outcome, seconds: ms / 1000, ran, caller: this.#caller, source });
    audit.executed({
      caller: this.#caller,
      tenant,
      source,
      conversationId,
      sessionId,
      toolName: this.#toolName,
      toolCallId: this.#callId,
      argumentsDigest: digest,
      outcome,
      latencyMs: Math.round(ms * 1000) / 1000,
      traceId: this.traceId,
    });
    if (span === undefined) return;
    if (result.outcome !== Outcome.OK) {
      span.setAttribute(attributes.errorType, outcome);
      span.setStatus({ code: SpanStatusCode.ERROR, message: outcome });
    }
    span.end();
  }
}

function spanOptions(toolName: string, callId: string, scope: CallScope): SpanOptions {
  return {
    kind: SpanKind.INTERNAL,
    attributes: {
      [attributes.operation]: "execute_tool",
      [attributes.toolName]: toolName,
      [attributes.toolCallId]: callId,
      ...(scope.conversationId && { [attributes.conversation]: scope.conversationId }),
      ...(scope.sessionId && { [attributes.session]: scope.sessionId }),
    },
  };
}

function traceIdOf(parent: Context | undefined): string | undefined {
  return parent === undefined ? undefined : trace.getSpanContext(parent)?.traceId;
}
