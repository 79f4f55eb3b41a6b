import { type Span, SpanKind, type SpanOptions, SpanStatusCode, trace } from "@opentelemetry/api";
import { Outcome, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { ToolLog } from "../plugin/tool.ts";
import { attributes, contextAttributes, contextFields, spans } from "../telemetry/attributes.ts";
import { shortName } from "../telemetry/audit.ts";
import { newTraceId } from "../telemetry/ids.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Execution } from "./execution.ts";
import type { Run } from "./stage.ts";
import { isAuthorsOwn, thrownDetails, thrownFields } from "./thrown.ts";

const outcomeNames: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(Outcome).map(([name, number]) => [number, name]),
);

/** Returns the name of an outcome without its prefix, such as `OK` or `TIMED_OUT`. */
export function outcomeName(outcome: Outcome): string {
  return outcomeNames[outcome] ?? "UNSPECIFIED";
}

/** Receives the values that tools' functions throw. */
export type OnToolError = (callId: string, reason: unknown) => void;

/**
 * Wraps a pipeline with a span, metrics, an audit line and log lines for each execution. The stages know nothing about
 * it.
 */
export function observed(run: Run, telemetry: Telemetry, onToolError?: OnToolError): Run {
  return (execution, parts) => {
    const span = startSpan(execution, telemetry);
    try {
      const answer = run(execution, parts);
      if (!(answer instanceof Promise)) return report(execution, answer, span, telemetry, onToolError);
      return answer.then(
        (result) => report(execution, result, span, telemetry, onToolError),
        (cause: unknown) => fail(execution, cause, span, telemetry),
      );
    } catch (cause) {
      return fail(execution, cause, span, telemetry);
    }
  };
}

/** Reports an execution that has no result, and throws the reason. */
function fail(execution: Execution, cause: unknown, span: Span | undefined, telemetry: Telemetry): never {
  span?.setStatus({ code: SpanStatusCode.ERROR });
  span?.end();
  // An execution that was joined has a line of its own.
  if (execution.joined === undefined) {
    telemetry.log.error({ err: cause, ...aboutCall(execution) }, "a call could not be executed");
  }
  throw cause;
}

/** Returns the log of an execution in the form that its tool sees, with the message first. */
export function toolLog(execution: Execution, telemetry: Telemetry): ToolLog {
  const log = executionLog(execution, telemetry);
  return {
    debug: (message, fields) => log.debug(fields ?? {}, message),
    info: (message, fields) => log.info(fields ?? {}, message),
    warn: (message, fields) => log.warn(fields ?? {}, message),
    error: (message, fields) => log.error(fields ?? {}, message),
  };
}

/** Returns the ids of an execution as attributes for the spans of its requests. */
export function requestAttributes(execution: Execution): Record<string, string> {
  const { call, callId, scope, request } = execution;
  return {
    [attributes.toolName]: shortName(call.name),
    [attributes.toolCallId]: callId,
    ...contextAttributes(scope, request.jobId),
  };
}

/** Returns the log of an execution. */
export function executionLog(execution: Execution, telemetry: Pick<Telemetry, "log">): Telemetry["log"] {
  return telemetry.log.child(aboutCall(execution));
}

function startSpan(execution: Execution, telemetry: Telemetry): Span | undefined {
  const parent = execution.request.trace;
  execution.trace = parent;
  if (!telemetry.tracing) return undefined;
  const { context, span } = telemetry.begin(spans.execution(shortName(execution.call.name)), parent, () =>
    spanOptions(execution),
  );
  execution.trace = context;
  return span;
}

/** Reports an execution that has its result. A result that belongs to another execution is not counted again. */
function report(
  execution: Execution,
  result: ToolResult,
  span: Span | undefined,
  telemetry: Telemetry,
  onToolError: OnToolError | undefined,
): ToolResult {
  if (execution.end?.kind === "threw") onToolError?.(execution.callId, execution.end.reason);
  if (result.replayed || execution.joined !== undefined) {
    span?.end();
    return result;
  }
  if (execution.end?.kind !== "returned" || execution.error !== undefined) logFailures(execution, telemetry);
  const seconds = ((execution.endedAt ?? performance.now()) - execution.createdAt) / 1000;
  const outcome = outcomeName(result.outcome);
  const { source, tenant, conversationId, sessionId, runId } = execution.scope;
  const { call, request } = execution;
  const ran = execution.startedAt !== undefined;
  const traceId = traceIdOf(execution);
  telemetry.metrics.executed({ tool: call.name, outcome, seconds, ran, caller: request.caller.name, source });
  telemetry.audit.executed({
    caller: request.caller.name,
    tenant,
    source,
    conversationId,
    sessionId,
    runId,
    jobId: request.jobId,
    toolName: call.name,
    toolCallId: execution.callId,
    argumentsDigest: execution.digest,
    outcome,
    latencyMs: Math.round(seconds * 1e6) / 1000,
    traceId,
  });
  if (span === undefined) return result;
  if (result.outcome !== Outcome.OK) {
    span.setAttribute(attributes.errorType, outcome);
    span.setStatus({ code: SpanStatusCode.ERROR, message: outcome });
  }
  span.end();
  return result;
}

/**
 * Logs a tool that threw or took too long. Messages may repeat arguments or answers, so they are logged at `debug`
 * only.
 */
function logFailures(execution: Execution, { log }: Telemetry): void {
  const { end, tool, reconcileError, error } = execution;
  if (error !== undefined) log.error({ err: error, ...aboutCall(execution) }, "a call failed after its tool had run");
  const thrown = end?.kind === "threw" ? end : undefined;
  for (const [failure, message] of [
    [thrown, "tool failed"],
    [reconcileError, "reconcile failed"],
  ] as const) {
    if (failure === undefined) continue;
    const { reason } = failure;
    const level = isAuthorsOwn(reason) ? "info" : "warn";
    log[level]({ ...aboutCall(execution), error: thrownFields(reason) }, message);
    if (log.isLevelEnabled("debug"))
      log.debug({ ...aboutCall(execution), error: thrownDetails(reason, tool) }, `${message}: details`);
  }
  if (end?.kind === "timed-out") {
    log.warn({ ...aboutCall(execution), timeout_ms: tool.timeoutMs }, "tool timed out");
  }
}

/** Returns the fields of every log line of an execution. */
function aboutCall(execution: Execution): Record<string, string | undefined> {
  const { call, callId, scope, request } = execution;
  return {
    tool: shortName(call.name),
    call: callId,
    ...contextFields(scope, request.jobId),
    trace_id: traceIdOf(execution),
  };
}

/** Returns the trace id for log and audit lines, even if no span is recorded. */
function traceIdOf(execution: Execution): string {
  const { trace: context } = execution;
  return (execution.traceId ??=
    (context === undefined ? undefined : trace.getSpanContext(context)?.traceId) ?? newTraceId());
}

function spanOptions(execution: Execution): SpanOptions {
  return {
    kind: SpanKind.INTERNAL,
    attributes: { [attributes.operation]: "execute_tool", ...requestAttributes(execution) },
  };
}
