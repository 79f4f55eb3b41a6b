import { readFileSync } from "node:fs";
import { uptime } from "node:os";

/** The store's persisted clock state. Times are Unix milliseconds by that clock. */
export interface ClockRecord {
  /** Id of the machine's boot during which the record was written; empty if the machine does not provide one. */
  readonly boot: string;
  /** Milliseconds from that boot to the moment of writing. */
  readonly uptimeMs: number;
  readonly time: number;
  /** Time that, by the wall clock alone, passed while the machine was off. See `startClock`. */
  readonly gapMs: number;
  /** The store's time at which that gap started. */
  readonly gapAt: number;
}

/** The machine's current boot. */
export interface Boot {
  readonly id: string;
  /** Milliseconds since the boot, including time in which the machine slept. */
  uptimeMs(): number;
}

/** Maximum gap of earlier boots that is added to a new one, in milliseconds. */
const maxEarlierGapMs = 8 * 86_400_000;

/** Returns the current boot as the operating system reports it. */
export function currentBoot(): Boot {
  let id = "";
  try {
    id = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    // Not on Linux: each start counts as a start after a boot.
  }
  return { id, uptimeMs: () => Math.floor(uptime() * 1000) };
}

/**
 * Determines the time at which the store's clock starts. Within one boot, the machine's uptime measures the time since
 * the last record, so a wrong wall clock has no effect. Across boots, only the wall clock knows how long the machine
 * was off: the store's clock follows it forward, never back. Time claimed by the wall clock alone is a gap, and a gap
 * does not age stored entries: a machine that starts with its clock a day ahead forgets nothing. The uptime of another
 * boot does not count, because the folder may have been moved to a machine that has been up for months.
 */
export function startClock(options: {
  record: ClockRecord | undefined;
  /** The newest time in the tables. */
  newest: number;
  wall: number;
  boot: Boot;
}): { start: number; gapMs: number; gapAt: number } {
  const { record, newest, wall, boot } = options;
  const { gapMs = 0, gapAt = 0 } = record ?? {};
  const uptimeMs = boot.uptimeMs();
  const known = Math.max(newest, record?.time ?? 0);
  if (known === 0) return { start: wall, gapMs, gapAt };
  if (record !== undefined && boot.id !== "" && record.boot === boot.id && uptimeMs >= record.uptimeMs)
    return { start: Math.max(newest, record.time + uptimeMs - record.uptimeMs), gapMs, gapAt };
  if (wall <= known) return { start: known, gapMs, gapAt };
  return { start: wall, gapMs: wall - known + Math.min(gapMs, maxEarlierGapMs), gapAt: known };
}

/** A span of the store's time: after `from`, up to and including `to`. */
export interface TimeSpan {
  readonly from: number;
  readonly to: number;
}

/** Returns the spans in which an entry must have ended to be at least `ageMs` old, not counting gaps. */
export function agedSpans(now: number, ageMs: number, { gapMs, gapAt }: { gapMs: number; gapAt: number }): TimeSpan[] {
  const spans = [
    { from: -1, to: Math.min(gapAt, now - ageMs - gapMs) },
    { from: gapAt, to: now - ageMs },
  ];
  return spans.filter(({ from, to }) => to > from);
}
