import { expect, onTestFinished, test, vi } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { JobQueueUnavailableError, type JobQueue, type JobRecord, type WorkResult } from "../../src/jobs/job-queue.ts";
import type { JobRow, JobTable, NewJob } from "../../src/jobs/job-table.ts";
import { createJobQueue } from "../../src/jobs/queue.ts";
import { aRecord } from "./samples.ts";
import { aHeldRow, aLog, aTable, codec } from "./stored-job.ts";

/** A queue on a table of the test, with the requests to the table and its rows. */
function onTable(replaced: Partial<JobTable> = {}) {
  const made = aTable(60_000, replaced);
  const log = aLog();
  const queue = createJobQueue(() => made.table, { log });
  onTestFinished(() => queue.close());
  const put = (state: JobState, change: Partial<JobRow> = {}): void => {
    made.rows.set("a", { ...aHeldRow("a", "token"), held: false, state, ...change });
  };
  return { ...made, queue, log, put };
}

/** Work that does not end, and the number of its starts. */
function endless() {
  const begun: JobRecord[] = [];
  return { begun, work: (record: JobRecord) => (begun.push(record), new Promise<never>(() => {})) };
}

test("any failure of the table is reported as unavailable, with its reason and cause", async () => {
  const cause = new Error("down");
  const down = (): Promise<never> => Promise.reject(cause);
  const { queue } = onTable({
    insert: down,
    get: down,
    list: down,
    counts: down,
    eraseEnded: down,
    eraseMatching: down,
    ping: down,
  });
  const page = { tenant: "default", state: JobState.UNSPECIFIED, size: 1, after: "" };
  const requests: ((queue: JobQueue) => Promise<unknown>)[] = [
    (asked) => asked.enqueue(aRecord()),
    (asked) => asked.get("a"),
    (asked) => asked.list(page),
    (asked) => asked.retry("a"),
    (asked) => asked.cancel("a"),
    (asked) => asked.status(),
    (asked) => asked.erase({ olderThanMs: 1, deadOlderThanMs: 1 }),
    (asked) => asked.erase({ tenant: "default", runId: "r" }),
    (asked) => asked.ping(),
  ];
  for (const request of requests) {
    const thrown = await request(queue).catch((unavailable: unknown) => unavailable);
    expect(thrown).toBeInstanceOf(JobQueueUnavailableError);
    expect(thrown).toMatchObject({ message: "down", cause });
  }
  const odd = onTable({ get: () => Promise.reject("no error at all") });
  await expect(odd.queue.get("a")).rejects.toThrow(new JobQueueUnavailableError("no error at all"));
});

test("a row that was erased while a worker held it is not found", async () => {
  const { queue, put } = onTable();
  put(JobState.DEAD, { record: "" });
  expect([await queue.get("a"), await queue.retry("a")]).toEqual([undefined, undefined]);
});

test("a job that is submitted again while its erased row is still held is unavailable for now", async () => {
  const { queue, put, rows } = onTable();
  put(JobState.EXECUTING, { held: true, record: "" });
  const refusal = new JobQueueUnavailableError("the job was erased, and its worker has not let go of it yet");
  await expect(queue.enqueue(aRecord({ id: "a" }))).rejects.toThrow(refusal);
  rows.clear();
  expect(await queue.enqueue(aRecord({ id: "a" }))).toMatchObject({ existed: false });
});

test("a job is changed by one write, on the condition that it is unchanged since it was read", async () => {
  const { queue, put, requests, rows } = onTable();
  put(JobState.DEAD);
  expect(await queue.retry("a")).toMatchObject({ job: { id: "a", state: JobState.ACCEPTED } });
  const record = rows.get("a")?.record;
  const expected = { token: "token", held: false, state: JobState.DEAD };
  expect(requests).toEqual([["write", "a", expected, { state: JobState.ACCEPTED, next: 0, record }]]);
  expect(codec.read(rows.get("a")!).record.job.error).toBe("");
});

test("a job that is held, in another state, or was changed in the meantime is left alone", async () => {
  const { queue, put, requests } = onTable();
  put(JobState.DEAD, { held: true });
  expect(await queue.retry("a")).toBe(false);
  put(JobState.DONE);
  expect([await queue.retry("a"), await queue.cancel("a")]).toEqual([false, false]);
  expect(requests).toEqual([]);
  const late = onTable({ write: async () => false });
  late.put(JobState.ACCEPTED);
  expect(await late.queue.cancel("a")).toBe(false);
});

test("a dead job whose record cannot be read is retried as it is, because its key may have been added since", async () => {
  const { queue, put, rows, requests } = onTable();
  put(JobState.DEAD, { record: "sealed.1.lost" });
  expect(await queue.retry("a")).toMatchObject({ job: { id: "a", state: JobState.ACCEPTED } });
  expect(rows.get("a")?.record).toBe("sealed.1.lost");
  expect(requests.at(-1)?.[3]).toEqual({ state: JobState.ACCEPTED, next: 0, record: undefined });
});

test("a job that becomes due wakes the workers, one that is over does not", async () => {
  let claims = 0;
  const { queue, put } = onTable({ claim: async ({ suspects }) => ((claims += suspects ? 0 : 1), []) });
  queue.work(endless().work, { concurrency: 1 });
  const idle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));
  await idle();
  expect(claims).toBe(1);
  put(JobState.ACCEPTED);
  await queue.cancel("a");
  await idle();
  expect(claims).toBe(1);
  put(JobState.DEAD);
  await queue.retry("a");
  await expect.poll(() => claims).toBe(2);
});

test("a submitted job goes to a worker with a free slot, otherwise it waits in the table and wakes them", async () => {
  const { queue, requests } = onTable();
  const { begun, work } = endless();
  const tokens = (): unknown[] => requests.filter(([name]) => name === "insert").map(([, , token]) => token);
  await queue.enqueue(aRecord({ id: "before" }));
  expect(tokens()).toEqual([""]);
  queue.work(work, { concurrency: 1 });
  await expect.poll(() => requests.filter(([name]) => name === "claim").length).toBeGreaterThan(1);
  expect(await queue.enqueue(aRecord({ id: "a" }))).toMatchObject({ existed: false, record: { job: { id: "a" } } });
  expect(await queue.enqueue(aRecord({ id: "b" }))).toMatchObject({ existed: false, record: { job: { id: "b" } } });
  expect(tokens()).toEqual(["", expect.stringMatching(/\.\d+$/), ""]);
  await expect.poll(() => begun.map(({ job }) => job.id)).toEqual(["a"]);
  const again = await queue.enqueue({ ...aRecord({ id: "a" }), caller: "somebody else" });
  expect(again).toMatchObject({ existed: true, record: { caller: "crm", job: { state: JobState.EXECUTING } } });
});

test("a server that is back gets the waiting jobs again, until the queue is closed", async () => {
  let listener: (() => Promise<void>) | undefined;
  const restored: string[] = [];
  const { queue, log } = onTable({
    onReturn: (called) => {
      listener = called;
      return () => (listener = undefined);
    },
    restore: async ({ id }: NewJob) => restored.push(id) > 0,
  });
  await queue.enqueue(aRecord({ id: "a" }));
  await queue.enqueue(aRecord({ id: "a" }));
  await listener?.();
  expect(restored).toEqual(["a"]);
  expect(log.lines).toHaveLength(1);
  await queue.close();
  expect(listener).toBeUndefined();
});

test("a server that is back gets the jobs again that were put off, in their latest state, but not those that are held or over", async () => {
  let listener: () => Promise<void> = async () => {};
  const restored: NewJob[] = [];
  let claims = 0;
  const { queue } = onTable({
    onReturn: (called) => ((listener = called), () => {}),
    restore: async (job) => restored.push(job) > 0,
    claim: async ({ token }) => [aHeldRow("claimed", token)].filter(() => claims++ === 0),
  });
  await queue.enqueue(aRecord({ id: "claimed" }));
  const ends = new Map<string, (result: WorkResult) => void>();
  const work = async ({ job }: JobRecord) => await new Promise<WorkResult>((resolve) => void ends.set(job.id, resolve));
  queue.work(work, { concurrency: 3 });
  await expect.poll(() => [...ends.keys()]).toEqual(["claimed"]);
  for (const id of ["put off", "over"]) await queue.enqueue(aRecord({ id }));
  await expect.poll(() => ends.size).toBe(3);
  await listener();
  expect(restored).toEqual([]);

  const delivering = aRecord({ id: "put off", state: JobState.DELIVERING });
  ends.get("put off")?.({ kind: "later", record: delivering, afterMs: 60_000 });
  ends.get("over")?.({ kind: "ended", record: aRecord({ id: "over", state: JobState.DONE }) });
  await expect.poll(() => (listener(), restored.length)).toBeGreaterThan(0);
  expect(restored[0]).toEqual(codec.newJob(delivering));
  expect(new Set(restored.map(({ id }) => id))).toEqual(new Set(["put off"]));
});

test("pages are limited to a mebibyte and portions of erased jobs to 500 of a kind", async () => {
  const asked: unknown[] = [];
  const { queue } = onTable({
    list: async (page) => (asked.push(page), { rows: [aHeldRow("a", "token")], next: "7" }),
    eraseEnded: async (retention) => asked.push(retention),
    eraseMatching: async (selector) => asked.push(selector),
  });
  const page = { tenant: "default", state: JobState.DEAD, size: 3, after: "9" };
  expect(await queue.list(page)).toMatchObject({ records: [{ job: { id: "a" } }], next: "7" });
  expect(await queue.erase({ olderThanMs: 1, deadOlderThanMs: 2 })).toBe(2);
  expect(await queue.erase({ tenant: "default", runId: "r" })).toBe(3);
  expect(asked).toEqual([
    { ...page, bytes: 1_048_576 },
    { olderThanMs: 1, deadOlderThanMs: 2, limit: 500 },
    { tenant: "default", runId: "r" },
  ]);
});

test("a queue is not ready while the store cannot take a job, or a worker gets none", async () => {
  const { queue } = onTable({ ping: async () => {}, claim: () => Promise.reject(new Error("down")) });
  await queue.ping();
  const worker = queue.work(endless().work, { concurrency: 1 });
  await expect(queue.ping()).resolves.toBeUndefined();
  const later = performance.now() + 4_000;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => later);
  onTestFinished(() => clock.mockRestore());
  await expect(queue.ping()).rejects.toThrow(JobQueueUnavailableError);
  await expect(queue.ping()).rejects.toThrow(/^no jobs have been fetched for 4 s/);
  await worker.stop();
  await expect(queue.ping()).resolves.toBeUndefined();
});

test("closing stops the workers at once", async () => {
  const { queue } = onTable({ claim: async ({ token }) => [aHeldRow("a", token)] });
  const told = Promise.withResolvers<unknown>();
  const begun = Promise.withResolvers<void>();
  queue.work(
    async (_record, { signal }) => {
      signal.addEventListener("abort", () => told.resolve(signal.reason));
      begun.resolve();
      return await new Promise<never>(() => {});
    },
    { concurrency: 1 },
  );
  await begun.promise;
  await queue.close();
  expect(await told.promise).toEqual(new Error("the service is shutting down"));
});
