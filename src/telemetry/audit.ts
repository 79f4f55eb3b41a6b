import { chainLine } from "./audit-chain.ts";
import type { AuditSink } from "./audit-file.ts";
import type { Redactor } from "./redact.ts";
import type { AuditEvent, AuditLog } from "./telemetry.ts";

/** What an audit log is made with. */
export interface AuditOptions {
  readonly sink: AuditSink;
  readonly redactor: Redactor;
  /** Told when writing begins to fail, and when it works again. */
  report(state: { failed: true; reason: unknown } | { failed: false; lost: number }): void;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Lines that may wait for a failing disk; beyond, the newest are lost and counted. */
  readonly capacity?: number;
}

const gatherMs = 10;
const tryAgainMs = 1000;

/**
 * Makes the audit log. `write` only takes the event, which must not be changed afterwards; lines are made, chained and
 * written behind the request path, at most 10 ms later. A disk that fails is reported, its lines wait, nothing throws.
 */
export function createAudit({
  sink,
  redactor,
  report,
  now = Date.now,
  capacity = 100_000,
}: AuditOptions): AuditLog & { readonly lost: number } {
  let events: AuditEvent[] = [];
  let times: number[] = [];
  let previous = sink.previous;
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

  const batch = (): { text: string; last: string } => {
    let last = previous;
    let text = "";
    let moment = Number.NaN;
    let stamp = "";
    for (const [index, event] of events.entries()) {
      const time = times[index]!;
      if (time !== moment) stamp = new Date((moment = time)).toISOString();
      const { line, hash } = chainLine(last, redactor.redact(jsonFrom(event, stamp)));
      text += `${line}\n`;
      last = hash;
    }
    return { text, last };
  };

  const flush = (): Promise<void> =>
    (writing ??= writeBatch().finally(() => {
      writing = undefined;
      if (events.length > 0 && !closed) schedule(failing ? tryAgainMs : gatherMs);
    }));

  const writeBatch = async (): Promise<void> => {
    if (unreported > 0) {
      events.push({ event: "audit_lost", lines: unreported });
      times.push(now());
    }
    const count = events.length;
    if (count === 0) return;
    const { text, last } = batch();
    try {
      await sink.append(text);
    } catch (reason) {
      if (unreported > 0) drop(count - 1, 1);
      if (!failing) report({ failed: true, reason });
      failing = true;
      return;
    }
    previous = last;
    drop(0, count);
    if (failing) report({ failed: false, lost: unreported });
    failing = false;
    unreported = 0;
  };

  const drop = (from: number, count: number): void => {
    events.splice(from, count);
    times.splice(from, count);
  };

  const write = (event: AuditEvent): void => {
    if (closed) return;
    if (events.length >= capacity) {
      lost += 1;
      unreported += 1;
      return;
    }
    events.push(event);
    times.push(now());
    if (timer === undefined && writing === undefined) schedule(gatherMs);
  };

  if (sink.tornBytes > 0) write({ event: "audit_recovered", torn_bytes: sink.tornBytes });
  return {
    write,
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

/** The event's JSON text behind its time. A `time` or `hash` of its own would make the line ambiguous and is left out. */
function jsonFrom(event: AuditEvent, stamp: string): string {
  const own = "time" in event || "hash" in event ? { ...event, time: undefined, hash: undefined } : event;
  return `{"time":"${stamp}",${JSON.stringify(own).slice(1)}`;
}
