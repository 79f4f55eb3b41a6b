import { pino } from "pino";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createStatusReader, startMaintenance } from "../../src/app/maintenance.ts";
import type { JobRetention, QueueStatus } from "../../src/jobs/job-queue.ts";

const counts = (dead: number): QueueStatus => ({ open: 1, dead, oldestMs: 5 });

afterEach(() => vi.useRealTimers());

describe("the counts of jobs for the metrics", () => {
  test("are queried once for any number of scrapes, and cached for a second", async () => {
    let asked = 0;
    let now = 0;
    const read = createStatusReader({ status: async () => counts((asked += 1)) }, () => now);
    expect(await Promise.all([read(), read(), read()])).toEqual([counts(1), counts(1), counts(1)]);
    now = 1_000;
    expect(await read()).toEqual(counts(1));
    now = 1_001;
    expect(await read()).toEqual(counts(2));
  });

  test("are the last known ones while the store is slow or unavailable, and omitted after a minute, never 0", async () => {
    vi.useFakeTimers();
    let now = 0;
    const answers: (() => Promise<QueueStatus>)[] = [async () => counts(7), () => new Promise<never>(() => {})];
    const read = createStatusReader(
      { status: () => (answers.shift() ?? (() => Promise.reject(new Error("away"))))() },
      () => now,
    );
    expect(await read()).toEqual(counts(7));
    now = 30_000;
    const slow = read();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await slow).toEqual(counts(7));
    now = 60_001;
    const stale = read().catch((cause: unknown) => cause);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await stale).toBeInstanceOf(Error);
  });

  test("are omitted if they were never read", async () => {
    const read = createStatusReader({ status: () => Promise.reject(new Error("away")) });
    await expect(read()).rejects.toThrow("could not be counted");
  });
});

/** Starts maintenance of stores with `left` old jobs, and records its requests to erase. */
function maintain(left: number, over: Partial<Parameters<typeof startMaintenance>[0]>) {
  const askedOfQueue: JobRetention[] = [];
  const askedOfLedger: unknown[] = [];
  const swept = Promise.withResolvers<void>();
  const parts = {
    executor: { recover: async () => 0, running: 0 },
    stores: {
      ledger: {
        async erase(retention: unknown) {
          askedOfLedger.push(retention);
          return 0;
        },
      },
      queue: {
        async erase(retention: JobRetention) {
          askedOfQueue.push(retention);
          if (left === 0) swept.resolve();
          return left === 0 ? 0 : left--;
        },
      },
    },
    telemetry: { log: pino({ level: "silent" }), metrics: { gauge() {} } },
  } as unknown as Parameters<typeof startMaintenance>[0];
  const maintenance = startMaintenance({ ...parts, windowMs: 100, uncertainMs: 300, deadJobsMs: 700, ...over });
  return { maintenance, askedOfQueue, askedOfLedger, swept: swept.promise };
}

test("old jobs are deleted in portions until none is left; dead and uncertain ones have their own retention", async () => {
  const { maintenance, askedOfQueue, askedOfLedger, swept } = maintain(3, { firstSweepMs: 1, sweepMs: 1 });
  await swept;
  await maintenance.stop();
  expect(askedOfQueue.slice(0, 4)).toEqual(
    Array.from({ length: 4 }, () => ({ olderThanMs: 100, deadOlderThanMs: 700 })),
  );
  expect(askedOfLedger[0]).toEqual({ olderThanMs: 100, uncertainOlderThanMs: 300 });
});

test("the first sweep is soon after the start, so that a process that lives less than a minute sweeps too", async () => {
  vi.useFakeTimers();
  const { maintenance, askedOfLedger } = maintain(0, {});
  await vi.advanceTimersByTimeAsync(5_000);
  expect(askedOfLedger).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(59_999);
  expect(askedOfLedger).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(askedOfLedger).toHaveLength(2);
  await maintenance.stop();
});
