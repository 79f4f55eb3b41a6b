import type { AuditEvent, ExecutionEvent } from "./telemetry.ts";

/** The JSON text of an event behind its time. */
export function lineFrom(event: AuditEvent, time: string): string {
  // A time or hash of the event's own would make the line ambiguous and is left out.
  const own = "time" in event || "hash" in event ? { ...event, time: undefined, hash: undefined } : event;
  return `{"time":"${time}",${JSON.stringify(own).slice(1)}`;
}

/** The same for an execution: written by hand, because there is one for every call. */
export function lineOfExecution(event: ExecutionEvent, time: string): string {
  const session = event.sessionId === "" ? "" : `,"session_id":${quoted(event.sessionId)}`;
  return (
    `{"time":"${time}","event":"tool_execution","caller":${quoted(event.caller)},"tenant":${quoted(event.tenant)},` +
    `"source":${quoted(event.source)},"conversation_id":${quoted(event.conversationId)}${session},` +
    `"tool_name":${quoted(event.toolName)},"tool_call_id":${quoted(event.toolCallId)},` +
    `"arguments_digest":${quoted(event.argumentsDigest)},"outcome":${quoted(event.outcome)},` +
    `"latency_ms":${event.latencyMs},"trace_id":${quoted(event.traceId)}}`
  );
}

const plain = /^[ !#-[\]-~]*$/;

function quoted(text: string): string {
  return plain.test(text) ? `"${text}"` : JSON.stringify(text);
}
