import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { claimedRow } from "../../src/jobs/job-codec.ts";
import { JobQueueUnavailableError, type JobRecord } from "../../src/jobs/job-queue.ts";
import type { JobTable } from "../../src/jobs/job-table.ts";
import { createLease } from "../../src/jobs/lease.ts";
import { aHeldRow, aLog, aTable, codec } from "./stored-job.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

/** The lease of a job for 900 ms, with the requests to its table. */
function startLease(replaced: Partial<JobTable> = {}) {
  const { table, rows, requests } = aTable(900, replaced);
  const row = aHeldRow("job-1", "mine");
  rows.set("job-1", row);
  const read = codec.read(row);
  const log = aLog();
  let ends = 0;
  const lease = createLease({ table, codec, log }, row, read, () => (ends += 1));
  const delivering: JobRecord = { ...read.record, job: { ...read.record.job, state: JobState.DELIVERING } };
  return { lease, rows, row, requests, log, delivering, ended: () => ends };
}

/** The same on a server that may lose jobs. */
function startLosing(replaced: Partial<JobTable> = {}) {
  const started = startLease({
    restore: async (job, token) => {
      started.requests.push(["restore", job.id, token]);
      if (started.rows.has(job.id)) return false;
      started.rows.set(job.id, claimedRow(job, token));
      return true;
    },
    ...replaced,
  });
  return started;
}

const expected = { token: "mine", held: true };
const never = new AbortController().signal;

describe("a lease", () => {
  test("is valid for its duration, from the time of its claim, extension or save", async () => {
    const { lease, delivering } = startLease({
      // The answer takes 100 ms.
      write: async () => (vi.advanceTimersByTime(100), true),
    });
    vi.advanceTimersByTime(899);
    expect(lease.valid()).toBe(true);
    vi.advanceTimersByTime(1);
    expect(lease.valid()).toBe(false);
    await lease.save(delivering);
    vi.advanceTimersByTime(799);
    expect(lease.valid()).toBe(true);
    vi.advanceTimersByTime(1);
    expect(lease.valid()).toBe(false);
    lease.extended(performance.now() - 500);
    vi.advanceTimersByTime(399);
    expect(lease.valid()).toBe(true);
    vi.advanceTimersByTime(1);
    expect(lease.valid()).toBe(false);
  });

  test("saves the record and stays, and ends with the last record or without one", async () => {
    const { lease, requests, delivering, ended } = startLease();
    await lease.save(delivering);
    const record = codec.text(delivering);
    expect(requests).toEqual([["write", "job-1", expected, { state: JobState.DELIVERING, next: "hold", record }]]);
    expect([ended(), lease.signal.aborted]).toEqual([0, false]);
    requests.length = 0;
    await lease.settle(undefined, { state: JobState.DEAD, next: 0, keepDeaths: true }, never);
    expect(requests).toEqual([["write", "job-1", expected, { state: JobState.DEAD, next: 0, keepDeaths: true }]]);
    expect(ended()).toBe(1);
  });

  test.each([
    ["claimed by another worker", { token: "another's" }],
    ["given back", { held: false }],
  ])("on a job that was %s is lost: nothing is written, and its work is aborted", async (_name, change) => {
    const { lease, rows, row, requests, delivering, ended, log } = startLease();
    rows.set("job-1", { ...row, ...change });
    await expect(lease.save(delivering)).rejects.toThrow(
      new JobQueueUnavailableError("the job belongs to another worker now"),
    );
    expect(requests).toHaveLength(1);
    expect([lease.valid(), lease.signal.reason]).toEqual([false, new Error("the job belongs to another worker now")]);
    expect([ended(), log.lines]).toEqual([1, []]);
    // Another worker decides.
    await lease.settle(delivering, { state: JobState.DONE, next: 0 }, never);
    expect(requests).toHaveLength(1);
    lease.extended(performance.now());
    expect(lease.valid()).toBe(false);
  });

  test("on a job that the store has lost writes it again with the last record, and logs a line", async () => {
    const { lease, rows, requests, delivering, log, ended } = startLosing();
    rows.clear();
    await lease.save(delivering);
    expect(requests.map(([name]) => name)).toEqual(["write", "restore", "write"]);
    expect(codec.read(rows.get("job-1")!).record.job.state).toBe(JobState.DELIVERING);
    const message = "the store has lost an acknowledged job: it is written again";
    expect([log.lines, ended(), lease.valid()]).toEqual([[{ level: "warn", message, job: "job-1" }], 0, true]);
  });

  test("on a job that was lost and submitted again is lost too", async () => {
    const { lease, rows, row, delivering, log } = startLosing({
      get: async () => undefined,
    });
    rows.set("job-1", { ...row, token: "another's" });
    await expect(lease.save(delivering)).rejects.toThrow(JobQueueUnavailableError);
    expect([rows.get("job-1")?.token, log.lines, lease.signal.aborted]).toEqual(["another's", [], true]);
  });

  test.each([
    ["a store that loses nothing", startLease],
    ["a store that knows the job as erased", () => startLosing({ restore: async () => false })],
  ])("on a job that is missing in %s is lost: nothing is written", async (_name, start) => {
    const { lease, rows, delivering, log, ended } = start();
    rows.clear();
    await expect(lease.save(delivering)).rejects.toThrow(JobQueueUnavailableError);
    expect([rows.size, log.lines, ended(), lease.signal.aborted]).toEqual([0, [], 1, true]);
  });

  test("on a job that was erased leaves nothing of it", async () => {
    const { lease, rows, row, requests, delivering } = startLease({ write: async () => false });
    rows.set("job-1", { ...row, record: "" });
    await expect(lease.save(delivering)).rejects.toThrow(JobQueueUnavailableError);
    expect([requests, rows.size]).toEqual([[["remove", "job-1", "mine"]], 0]);
  });

  test("whose write was not executed although the job is its own writes once more, but not a third time", async () => {
    const answers = [false, true, false, false];
    const { lease, delivering, ended } = startLease({ write: async () => answers.shift()! });
    await lease.save(delivering);
    expect([answers.length, ended()]).toEqual([2, 0]);
    await expect(lease.save(delivering)).rejects.toThrow(JobQueueUnavailableError);
    expect([answers.length, ended()]).toEqual([0, 1]);
  });

  test("verifies its job, and is lost only if another worker has it", async () => {
    const { lease, rows, row, ended } = startLosing();
    await lease.verify();
    rows.clear();
    await lease.verify();
    expect([rows.get("job-1")?.token, ended(), lease.signal.aborted]).toEqual(["mine", 0, false]);
    rows.set("job-1", { ...row, token: "another's" });
    await lease.verify();
    expect([ended(), lease.signal.aborted]).toEqual([1, true]);
  });

  test("is settled after an outage of the store, with an attempt every second", async () => {
    let tries = 0;
    let away = true;
    const { lease, delivering, ended } = startLease({
      write: async () => {
        tries += 1;
        if (away) throw new Error("down");
        return true;
      },
    });
    const settled = lease.settle(delivering, { state: JobState.DONE, next: 0 }, never);
    await vi.advanceTimersByTimeAsync(2_999);
    expect([tries, ended()]).toEqual([3, 0]);
    away = false;
    await vi.advanceTimersByTimeAsync(1);
    await settled;
    expect([tries, ended(), vi.getTimerCount()]).toEqual([4, 1, 0]);
  });

  test("is given up at once during an outage of the store if the worker must stop", async () => {
    let tries = 0;
    const write = async (): Promise<never> => {
      tries += 1;
      throw new Error("down");
    };
    const { lease, delivering, ended } = startLease({ write });
    const stop = new AbortController();
    const settled = lease.settle(delivering, { state: JobState.DONE, next: 0 }, stop.signal);
    await vi.advanceTimersByTimeAsync(0);
    stop.abort();
    await settled;
    expect([tries, ended(), vi.getTimerCount()]).toEqual([2, 1, 0]);
    const stopped = startLease({ write });
    await stopped.lease.settle(delivering, { state: JobState.DONE, next: 0 }, stop.signal);
    expect([tries, stopped.ended()]).toEqual([3, 1]);
  });

  test("aborts its work with the reason, and can still be settled", async () => {
    const { lease, rows, delivering } = startLease();
    lease.stop("shutting down");
    expect([lease.signal.reason, lease.valid()]).toEqual(["shutting down", true]);
    await lease.settle(delivering, { state: JobState.DELIVERING, next: 0 }, never);
    expect(rows.get("job-1")).toMatchObject({ state: JobState.DELIVERING, held: false });
  });
});
