import { type Context, type Span, SpanKind, type SpanOptions, SpanStatusCode, trace } from "@opentelemetry/api";
import { Outcome, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { CallPlace } from "../ledger/ledger.ts";
import { attributes, spans } from "../telemetry/attributes.ts";
import { newTraceId } from "../telemetry/ids.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";

/** One execution as it is watched. */
export interface Observation {
  /** Context of the execution's span, for the requests it makes. */
  readonly trace: Context | undefined;
  readonly traceId: string;
  /** It has its result. One that is another execution's is counted nowhere. */
  ended(result: ToolResult, ran: boolean, digest: string): void;
  /** It could not be executed. */
  failed(): void;
}

/** Starts watching an execution: span, metrics and audit line. The stages know nothing of it. */
export type Observe = (
  toolName: string,
  callId: string,
  place: CallPlace,
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
  return (toolName, callId, place, caller, parent) => {
    const begun = telemetry.tracing
      ? telemetry.begin(spans.execution(toolName), parent, () => spanOptions(toolName, callId, place))
      : undefined;
    const context = begun?.context ?? parent;
    return new Watched(telemetry, { toolName, callId, place, caller, span: begun?.span, trace: context });
  };
}

interface About {
  readonly toolName: string;
  readonly callId: string;
  readonly place: CallPlace;
  readonly caller: string;
  readonly span: Span | undefined;
  readonly trace: Context | undefined;
}

class Watched implements Observation {
  readonly #telemetry: Telemetry;
  readonly #about: About;
  readonly #startedAt = performance.now();
  #traceId: string | undefined;

  constructor(telemetry: Telemetry, about: About) {
    this.#telemetry = telemetry;
    this.#about = about;
  }

  get trace(): Context | undefined {
    return this.#about.trace;
  }

  get traceId(): string {
    return (this.#traceId ??= traceIdOf(this.#about.trace) ?? newTraceId());
  }

  failed(): void {
    const { span } = this.#about;
    span?.setStatus({ code: SpanStatusCode.ERROR });
    span?.end();
  }

  ended(result: ToolResult, ran: boolean, digest: string): void {
    const { toolName, callId, place, caller, span } = this.#about;
    if (result.replayed) return span?.end();
    const ms = performance.now() - this.#startedAt;
    const outcome = outcomeName(result.outcome);
    const { metrics, audit } = this.#telemetry;
    metrics.executed({ tool: toolName, outcome, seconds: ms / 1000, ran, caller, source: place.source });
    audit.executed({
      caller,
      tenant: place.tenant,
      source: place.source,
      conversationId: place.conversationId,
      sessionId: place.sessionId,
      toolName,
      toolCallId: callId,
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

function spanOptions(toolName: string, callId: string, place: CallPlace): SpanOptions {
  return {
    kind: SpanKind.INTERNAL,
    attributes: {
      [attributes.operation]: "execute_tool",
      [attributes.toolName]: toolName,
      [attributes.toolCallId]: callId,
      ...(place.conversationId && { [attributes.conversation]: place.conversationId }),
      ...(place.sessionId && { [attributes.session]: place.sessionId }),
    },
  };
}

function traceIdOf(parent: Context | undefined): string | undefined {
  return parent === undefined ? undefined : trace.getSpanContext(parent)?.traceId;
}
