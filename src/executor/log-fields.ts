import type { ToolLog } from "../plugin/tool.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Performance } from "./perform.ts";

/** What every log line of an execution carries. */
export function aboutCall({
  tool,
  callId,
  scope,
  traceId,
}: Pick<Performance, "tool" | "callId" | "scope" | "traceId">): Record<string, string | undefined> {
  return {
    tool: tool.name,
    call: callId,
    conversation: scope.conversationId || undefined,
    session: scope.sessionId || undefined,
    trace_id: traceId,
  };
}

/** The log as a tool is given it: the words first. */
export function toolLog(log: Telemetry["log"]): ToolLog {
  return {
    debug: (message, fields) => log.debug(fields ?? {}, message),
    info: (message, fields) => log.info(fields ?? {}, message),
    warn: (message, fields) => log.warn(fields ?? {}, message),
    error: (message, fields) => log.error(fields ?? {}, message),
  };
}

/** First line of an error's stack that names a scope, without the error's words. */
export function frameOf(error: Error): string | undefined {
  return error.stack
    ?.split("\n")
    .find((line) => line.startsWith("    at "))
    ?.trim();
}
