import { describe, expect, test } from "vitest";
import { agedSpans, startClock } from "../../src/store/boot-clock.ts";
import type { Boot, ClockRecord } from "../../src/store/boot-clock.ts";

const hour = 3_600_000;
const boot = (id: string, uptimeMs: number): Boot => ({ id, uptimeMs: () => uptimeMs });
const record = (change: Partial<ClockRecord> = {}): ClockRecord => ({
  boot: "one",
  uptimeMs: 1_000,
  time: 100 * hour,
  gapMs: 0,
  gapAt: 0,
  ...change,
});

describe("the store's clock after a restart", () => {
  test("starts at the wall clock if nothing is known", () => {
    const started = startClock({ record: undefined, newest: 0, wall: 5 * hour, boot: boot("one", 1_000) });
    expect(started).toEqual({ start: 5 * hour, gapMs: 0, gapAt: 0 });
  });

  test("ignores the wall clock within one boot of the machine, ahead or behind", () => {
    for (const wall of [0, 125 * hour]) {
      const started = startClock({ record: record(), newest: 100 * hour - 5, wall, boot: boot("one", 61_000) });
      expect(started).toEqual({ start: 100 * hour + 60_000, gapMs: 0, gapAt: 0 });
    }
  });

  test("follows the wall clock across boots, but time that only that clock claims expires nothing", () => {
    const started = startClock({ record: record(), newest: 0, wall: 125 * hour, boot: boot("two", 60_000) });
    expect(started).toEqual({ start: 125 * hour, gapMs: 25 * hour, gapAt: 100 * hour });
    const [earlier, later, ...rest] = agedSpans(started.start, 24 * hour, started);
    // The ends before the gap have not been witnessed for a day.
    expect(earlier).toEqual({ from: -1, to: 76 * hour });
    expect([later, rest]).toEqual([{ from: 100 * hour, to: 101 * hour }, []]);
  });

  test("never goes back across boots", () => {
    const started = startClock({ record: record(), newest: 0, wall: hour, boot: boot("two", 60_000) });
    expect(started).toEqual({ start: 100 * hour, gapMs: 0, gapAt: 0 });
  });

  test("does not count the uptime of another machine: a folder that is moved there forgets nothing", () => {
    const elsewhere = boot("two", 300 * 24 * hour);
    for (const wall of [99 * hour, 100 * hour + 60_000, 125 * hour]) {
      const started = startClock({ record: record(), newest: 0, wall, boot: elsewhere });
      expect(started.start).toBe(Math.max(wall, 100 * hour));
      const minuteAgo = 100 * hour - 60_000;
      const forgotten = agedSpans(started.start, 24 * hour, started).filter(
        ({ from, to }) => minuteAgo > from && minuteAgo <= to,
      );
      expect(forgotten).toEqual([]);
    }
  });

  test("adds the gap of a later boot to the earlier one", () => {
    const before = record({ gapMs: 2 * hour, gapAt: 50 * hour });
    const started = startClock({ record: before, newest: 0, wall: 103 * hour, boot: boot("two", 0) });
    expect(started).toEqual({ start: 103 * hour, gapMs: 5 * hour, gapAt: 100 * hour });
  });

  test("treats each start as one after a boot if the machine does not report boots", () => {
    const started = startClock({ record: record({ boot: "" }), newest: 0, wall: 101 * hour, boot: boot("", 90_000) });
    expect(started).toEqual({ start: 101 * hour, gapMs: hour, gapAt: 100 * hour });
  });
});
