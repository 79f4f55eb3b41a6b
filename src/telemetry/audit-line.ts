import type { AuditEvent, ExecutionEvent } from "./telemetry.ts";

/** The JSON text of an event behind its time. */
export function lineFrom(event: AuditEvent, time: string): string {
  // A time or hash of the event's own would make the line ambiguous and is left out.
  const own = "time" in event || "hash" in event ? { ...event, time: undefined, hash: undefined } : event;
  return `{"time":"${time}",${JSON.stringify(own).slice(1)}`;
}

/** Makes what writes the same for an execution: by hand, because there is one for every call. */
export function createExecutionLines(): (event: ExecutionEvent, time: string) => string {
  let last = { caller: "", tenant: "", source: "", text: '"caller":"","tenant":"","source":""' };

  /** Who called, as members of the line. Many calls in a row are of the same caller. */
  function who({ caller, tenant, source }: ExecutionEvent): string {
    if (caller !== last.caller || source !== last.source || tenant !== last.tenant) {
      const text = `"caller":${quoted(caller)},"tenant":${quoted(tenant)},"source":${quoted(source)}`;
      last = { caller, tenant, source, text };
    }
    return last.text;
  }

  return (event, time) => {
    const session = event.sessionId === "" ? "" : `,"session_id":${quoted(event.sessionId)}`;
    const run = event.runId ? `,"run_id":${quoted(event.runId)}` : "";
    // Outcomes, digests and trace ids have no character that JSON would escape.
    return (
      `{"time":"${time}","event":"tool_execution",${who(event)},"conversation_id":${quoted(event.conversationId)}${session}${run},` +
      `"tool_name":${quoted(shortName(event.toolName))},"tool_call_id":${quoted(event.toolCallId)},` +
      `"arguments_digest":"${event.argumentsDigest}","outcome":"${event.outcome}",` +
      `"latency_ms":${event.latencyMs},"trace_id":"${event.traceId}"}`
    );
  };
}

/** Longest tool name in the log, in code points. No tool has a longer one, but a caller may send anything. */
const maxNameLength = 128;

/** Cuts a tool name that no tool can have. */
export function shortName(name: string): string {
  return name.length <= maxNameLength
    ? name
    : `${Array.from(name.slice(0, 2 * maxNameLength))
        .slice(0, maxNameLength)
        .join("")}…`;
}

const plain = /^[ !#-[\]-~]*$/;

function quoted(text: string): string {
  return plain.test(text) ? `"${text}"` : JSON.stringify(text);
}
