import { sealBatch } from "./audit-chain.ts";
import type { AuditSink } from "./audit-file.ts";
import type { Redactor } from "./redact.ts";
import type { AuditEvent, AuditLog, ExecutionEvent } from "./telemetry.ts";

/** Options of an audit log. */
export interface AuditOptions {
  readonly sink: AuditSink;
  readonly redactor: Redactor;
  /** Called when writing starts to fail, and when it works again. */
  report(state: { failed: true; reason: unknown } | { failed: false; lost: number }): void;
  /** Wall clock in Unix milliseconds. */
  readonly now?: () => number;
  /** Maximum number of lines that wait for a failing disk. Beyond it, the newest are lost and counted. */
  readonly capacity?: number;
}

const gatherMs = 10;
const retryMs = 1000;

/**
 * Creates the audit log. `write` builds the line; lines are redacted, sealed and written in batches outside the request
 * path, at most 10 ms later. If the disk fails, that is reported and lines wait; nothing throws.
 */
export function createAudit({
  sink,
  redactor,
  report,
  now = Date.now,
  capacity = 100_000,
}: AuditOptions): AuditLog & { readonly lost: number } {
  const lineOfExecution = createExecutionLines();
  let lines: string[] = [];
  let { previous, open } = sink;
  let moment = Number.NaN;
  let stamp = "";
  let failing = false;
  let lost = 0;
  let unreported = 0;
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> | undefined;
  let closed = false;

  const schedule = (after: number): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      void flush();
    }, after);
  };

  const stamped = (): string => {
    const time = now();
    if (time !== moment) stamp = new Date((moment = time)).toISOString();
    return stamp;
  };

  const flush = (): Promise<void> =>
    (writing ??= writeBatch().finally(() => {
      writing = undefined;
      if (lines.length > 0 && !closed) schedule(failing ? retryMs : gatherMs);
    }));

  const writeBatch = async (): Promise<void> => {
    const count = lines.length;
    const reported = unreported;
    const batch = reported > 0 ? [...lines, lineFrom({ event: "audit_lost", lines: reported }, stamped())] : lines;
    if (batch.length === 0) return;
    const sealed = sealBatch(previous, redactor.redact(batch.join("\n")), open);
    try {
      await sink.append(sealed.bytes);
    } catch (reason) {
      if (!failing) report({ failed: true, reason });
      failing = true;
      return;
    }
    lines = lines.slice(count);
    previous = sealed.hash;
    open = "";
    if (failing) report({ failed: false, lost: reported });
    failing = false;
    unreported -= reported;
  };

  /** Reports whether there is room for another line; otherwise counts it as lost. */
  const takes = (): boolean => {
    if (closed) return false;
    if (lines.length < capacity) return true;
    lost += 1;
    unreported += 1;
    return false;
  };

  const append = (line: string): void => {
    lines.push(line);
    if (timer === undefined && writing === undefined) schedule(gatherMs);
  };

  const write = (event: AuditEvent): void => {
    if (takes()) append(lineFrom(event, stamped()));
  };

  if (sink.tornBytes > 0 || open !== "") {
    const unsealed = open.split("\n").length - 1;
    write({ event: "audit_recovered", torn_bytes: sink.tornBytes, ...(unsealed > 0 && { unsealed_lines: unsealed }) });
  }
  return {
    write,
    executed(event) {
      if (takes()) append(lineOfExecution(event, stamped()));
    },
    get lost() {
      return lost;
    },
    async close() {
      if (closed) return;
      await writing;
      clearTimeout(timer);
      await flush();
      closed = true;
      clearTimeout(timer);
      await sink.close().catch((reason: unknown) => report({ failed: true, reason }));
    },
  };
}

/** Returns the JSON text of an event, prefixed with its time. */
function lineFrom(event: AuditEvent, time: string): string {
  // A `time` or `hash` in the event itself would make the line ambiguous and is omitted.
  const own = "time" in event || "hash" in event ? { ...event, time: undefined, hash: undefined } : event;
  return `{"time":"${time}",${JSON.stringify(own).slice(1)}`;
}

/** Creates a faster writer with the same output for executions, because there is one per call. */
export function createExecutionLines(): (event: ExecutionEvent, time: string) => string {
  let last = { caller: "", tenant: "", source: "", text: '"caller":"","tenant":"","source":""' };

  /** Returns the caller as members of the line. Cached, because consecutive calls often have the same caller. */
  function callerMembers({ caller, tenant, source }: ExecutionEvent): string {
    if (caller !== last.caller || source !== last.source || tenant !== last.tenant) {
      const text = `"caller":${quoted(caller)},"tenant":${quoted(tenant)},"source":${quoted(source)}`;
      last = { caller, tenant, source, text };
    }
    return last.text;
  }

  return (event, time) => {
    const session = event.sessionId === "" ? "" : `,"session_id":${quoted(event.sessionId)}`;
    const run = event.runId ? `,"run_id":${quoted(event.runId)}` : "";
    const job = event.jobId ? `,"job_id":${quoted(event.jobId)}` : "";
    // Outcomes, digests and trace ids contain no character that JSON escapes.
    return (
      `{"time":"${time}","event":"tool_execution",${callerMembers(event)},"conversation_id":${quoted(event.conversationId)}${session}${run}${job},` +
      `"tool_name":${quoted(shortName(event.toolName))},"tool_call_id":${quoted(event.toolCallId)},` +
      `"arguments_digest":"${event.argumentsDigest}","outcome":"${event.outcome}",` +
      `"latency_ms":${event.latencyMs},"trace_id":"${event.traceId}"}`
    );
  };
}

/**
 * Maximum length of a tool name in the log, in code points. No tool has a longer one, but a caller may send anything.
 */
const maxNameLength = 128;

/** Truncates a name that is too long for a tool. */
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
