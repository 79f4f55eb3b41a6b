import { randomBytes } from "node:crypto";
import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanStatusCode,
  type Tracer,
  trace,
  TraceFlags,
} from "@opentelemetry/api";
import { ConnectError, type ContextValues } from "@connectrpc/connect";
import { Outcome, type ToolCall, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { redact } from "../outbound/redact.ts";
import { problemOf } from "./tool-content.ts";

/** Observation of conversations: spans, audit lines, and the context values that carry a trace into an RPC. */
export interface Observation {
  readonly tracer: Tracer;
  /** False when no span would be recorded. */
  readonly tracing: boolean;
  readonly audit: { write(event: { event: string; [field: string]: string | number | boolean | undefined }): void };
  contextValues(context: Context): ContextValues;
}

/** Observes one conversation: its nested spans and its audit lines. */
export interface Observer {
  readonly conversation: ObservedSpan;
  invocation(iteration: number, toolCount: number): ObservedSpan;
  tool(call: ToolCall, parent: ObservedSpan): ObservedSpan;
  /** Records the end of a call. `waitedMs` is used if the tool's own duration is unknown. */
  toolEnded(result: ToolResult, span: ObservedSpan, waitedMs: number): void;
}

/** A span, and the context in which its children start. */
export interface ObservedSpan {
  readonly context: Context;
  set(attributes: Attributes): void;
  /** Ends the span, once. `problem` is the reason of a failure. */
  end(problem?: string): void;
}

/** Starts to observe a conversation. Names and attributes follow requirements 002. */
export function observeConversation(
  { tracer, tracing, audit }: Pick<Observation, "tracer" | "tracing" | "audit">,
  conversation: { readonly id: string; readonly model: string; readonly nowMs: number },
  parent: Context = tracing ? ROOT_CONTEXT : unrecorded(),
): Observer {
  const { id, model, nowMs } = conversation;
  const begin = (name: string, attributes: Attributes, context: Context): ObservedSpan =>
    watch(tracer.startSpan(name, { attributes }, context), context);
  audit.write({ event: "conversation_start", conversation_id: id, model, timestamp: nowMs / 1000 });
  const root = begin("genesys.llm.gateway.conversation", { "conversation.id": id, model }, parent);
  return {
    conversation: root,
    invocation: (iteration, toolCount) =>
      begin("genesys.llm.gateway.invocation", { iteration, tool_count: toolCount }, root.context),
    tool: (call, { context }) =>
      begin(`tool.execute.${call.name}`, { "tool.name": call.name, "tool.call_id": call.id }, context),
    toolEnded(result, span, waitedMs) {
      const success = result.outcome === Outcome.OK;
      const about = { conversation_id: id, tool_name: result.name, tool_call_id: result.callId };
      const error = redact(problemOf(result));
      span.set({ success });
      span.end(success ? undefined : error);
      if (success) audit.write({ event: "tool_success", ...about, latency_ms: latencyMs(result) ?? waitedMs });
      else audit.write({ event: "tool_failure", conversation_id: id, tool_name: result.name, error });
    },
  };
}

/** Creates a parent that requests no recording. Without it, the calls of one conversation would not share a trace id. */
function unrecorded(): Context {
  const ids = { traceId: randomBytes(16).toString("hex"), spanId: randomBytes(8).toString("hex") };
  return trace.setSpanContext(ROOT_CONTEXT, { ...ids, traceFlags: TraceFlags.NONE });
}

/** Describes why something ended, in a form fit for a span. */
export function describeReason(reason: unknown): string {
  return redact(ConnectError.from(reason).rawMessage);
}

function watch(span: Span, parent: Context): ObservedSpan {
  let open = true;
  return {
    context: trace.setSpan(parent, span),
    set: (attributes) => void span.setAttributes(attributes),
    end(problem) {
      if (!open) return;
      open = false;
      span.setStatus(
        problem === undefined ? { code: SpanStatusCode.OK } : { code: SpanStatusCode.ERROR, message: problem },
      );
      span.end();
    },
  };
}

function latencyMs({ duration }: ToolResult): number | undefined {
  return duration && roundMs(Number(duration.seconds) * 1000 + duration.nanos / 1e6);
}

/** Rounds milliseconds to two decimals. */
export function roundMs(ms: number): number {
  return Math.round(ms * 100) / 100;
}
