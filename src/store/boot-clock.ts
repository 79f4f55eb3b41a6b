import { readFileSync } from "node:fs";
import { uptime } from "node:os";

/** What the store remembers of its clock. Times are Unix milliseconds by that clock. */
export interface ClockRecord {
  /** Names the boot of the machine during which it was written; empty where the machine tells none. */
  readonly boot: string;
  /** Milliseconds since that boot when it was written. */
  readonly uptimeMs: number;
  readonly time: number;
  /** Time that only the machine's clock claims to have passed, while the machine was off: see `startClock`. */
  readonly gapMs: number;
  /** The store's time at which that gap began. */
  readonly gapAt: number;
}

/** The present boot of the machine. */
export interface Boot {
  readonly id: string;
  /** Milliseconds since the boot; goes on while the machine sleeps. */
  uptimeMs(): number;
}

/** Longest gap of earlier boots that is added to a new one, in milliseconds. */
const maxEarlierGapMs = 8 * 86_400_000;

/** The present boot, by what the operating system says. */
export function currentBoot(): Boot {
  let id = "";
  try {
    id = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    // Not on Linux: each start counts as one after a boot.
  }
  return { id, uptimeMs: () => Math.floor(uptime() * 1000) };
}

/**
 * At what time the store's clock starts. Within one boot of the machine the time since it was last written is measured by
 * the machine's uptime: a wrong wall clock changes nothing. Over boots nothing but the wall clock tells how long the
 * machine was off; the store's clock follows it forward, never back, but what the wall clock alone claims is a gap that
 * does not age what is kept: a machine that starts with a clock one day ahead forgets nothing.
 */
export function startClock(options: {
  record: ClockRecord | undefined;
  /** The newest time that the tables know. */
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
  const witnessed = known + (record !== undefined && boot.id !== "" && record.boot !== boot.id ? uptimeMs : 0);
  const start = Math.max(wall, witnessed);
  if (start === witnessed) return { start, gapMs, gapAt };
  return { start, gapMs: start - witnessed + Math.min(gapMs, maxEarlierGapMs), gapAt: witnessed };
}

/** A span of the store's time: after `from`, up to `to`. */
export interface TimeSpan {
  readonly from: number;
  readonly to: number;
}

/** In which spans something must have ended to be at least so many milliseconds old, gaps not counted. */
export function agedSpans(now: number, ageMs: number, { gapMs, gapAt }: { gapMs: number; gapAt: number }): TimeSpan[] {
  const spans = [
    { from: -1, to: Math.min(gapAt, now - ageMs - gapMs) },
    { from: gapAt, to: now - ageMs },
  ];
  return spans.filter(({ from, to }) => to > from);
}
