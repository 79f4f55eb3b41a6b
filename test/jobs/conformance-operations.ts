import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import type { JobQueue, JobRecord, JobWorker, Work, WorkResult } from "../../src/jobs/job-queue.ts";
import { aRecord } from "./samples.ts";

interface TestedQueue {
  queue(): JobQueue;
  work(work: Work): JobWorker;
  end(record: JobRecord, state?: JobState): WorkResult;
  stateOf(id: string): Promise<JobState | undefined>;
  /** Processes all jobs to this state. */
  runDry(state?: JobState): Promise<void>;
  readonly takeOverWithinMs: number;
}

/** The part of the conformance suite about operators: retry, cancel, list, count and delete. */
export function operations({ queue, work, end, stateOf, runDry, takeOverWithinMs }: TestedQueue): void {
  test("a dead job is listed as dead, counted, and runs again when an operator retries it", async () => {
    const record = aRecord({ tenant: "graves" });
    await queue().enqueue(record);
    await runDry(JobState.DEAD);
    expect((await queue().status()).dead).toBeGreaterThan(0);
    const page = await queue().list({ tenant: "graves", state: JobState.DEAD, size: 10, after: "" });
    expect(page.records.map(({ job }) => job.id)).toEqual([record.job.id]);
    const dead = (await queue().status()).dead;
    expect(await queue().retry(record.job.id)).toMatchObject({ job: { state: JobState.ACCEPTED } });
    expect(await queue().retry(record.job.id)).toBe(false);
    expect((await queue().status()).dead).toBe(dead - 1);
    await runDry();
    expect(await stateOf(record.job.id)).toBe(JobState.DONE);
    expect(await queue().retry(record.job.id)).toBe(false);
    expect(await queue().retry("nothing")).toBeUndefined();
  });

  test("a dead job with results is only delivered when an operator retries it", async () => {
    const record = aRecord();
    await queue().enqueue(record);
    const working = work(async (taken) => {
      const executed = { ...taken.job, results: [create(ToolResultSchema, { callId: "call-1", output: "{}" })] };
      return end({ ...taken, deliveryMs: 3, job: executed }, JobState.DEAD);
    });
    await expect.poll(() => stateOf(record.job.id), { timeout: takeOverWithinMs }).toBe(JobState.DEAD);
    await working.stop();
    const again = await queue().retry(record.job.id);
    expect(again).toMatchObject({ deliveryMs: 0, job: { state: JobState.DELIVERING } });
    await runDry();
  });

  test("a waiting job can be cancelled and then never runs; a running one cannot", async () => {
    const [waiting, running] = [aRecord(), aRecord()];
    await queue().enqueue(waiting);
    expect(await queue().cancel(waiting.job.id)).toMatchObject({ job: { state: JobState.CANCELLED } });
    expect(await queue().cancel(waiting.job.id)).toBe(false);
    expect(await queue().cancel("nothing")).toBeUndefined();
    const started = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const seen: string[] = [];
    work(async (taken) => {
      seen.push(taken.job.id);
      started.resolve();
      await goOn.promise;
      return end(taken);
    });
    await queue().enqueue(running);
    await started.promise;
    expect(await queue().cancel(running.job.id)).toBe(false);
    goOn.resolve();
    await expect.poll(() => stateOf(running.job.id), { timeout: takeOverWithinMs }).toBe(JobState.DONE);
    expect(seen).toEqual([running.job.id]);
    expect(await stateOf(waiting.job.id)).toBe(JobState.CANCELLED);
  });

  test("of several operators at once, one cancels a job, and one retries it", async () => {
    const [waiting, dead] = [aRecord(), aRecord()];
    await queue().enqueue(dead);
    await runDry(JobState.DEAD);
    await queue().enqueue(waiting);
    const states = async (act: (id: string) => ReturnType<JobQueue["retry"]>, id: string) => {
      const answers = await Promise.all(Array.from({ length: 8 }, () => act(id)));
      return answers.filter((answer) => answer !== false).map((answer) => answer?.job.state);
    };
    expect(await states(queue().cancel, waiting.job.id)).toEqual([JobState.CANCELLED]);
    expect(await states(queue().retry, dead.job.id)).toEqual([JobState.ACCEPTED]);
    await runDry();
  });

  test("jobs that wait are begun in the order in which they came", async () => {
    const records = Array.from({ length: 12 }, () => aRecord());
    for (const record of records) await queue().enqueue(record);
    const begun: string[] = [];
    const working = work(async (taken) => {
      begun.push(taken.job.id);
      return end(taken);
    });
    await expect.poll(() => begun.length, { timeout: takeOverWithinMs }).toBe(records.length);
    await working.stop();
    expect(begun).toEqual(records.map(({ job }) => job.id));
  });

  test("jobs are listed newest first, page by page, by tenant and state", async () => {
    const mine = Array.from({ length: 7 }, () => aRecord({ tenant: "pages" }));
    for (const record of mine) await queue().enqueue(record);
    await queue().enqueue(aRecord({ tenant: "others" }));
    await queue().cancel(mine[3]?.job.id ?? "");
    const ids: string[] = [];
    let after = "";
    do {
      const page = await queue().list({ tenant: "pages", state: JobState.UNSPECIFIED, size: 3, after });
      expect(page.records.length).toBeLessThanOrEqual(3);
      ids.push(...page.records.map(({ job }) => job.id));
      after = page.next;
    } while (after !== "");
    expect(ids).toEqual(mine.map(({ job }) => job.id).toReversed());
    const cancelled = await queue().list({ tenant: "pages", state: JobState.CANCELLED, size: 10, after: "" });
    expect(cancelled.records.map(({ job }) => job.id)).toEqual([mine[3]?.job.id]);
    expect(cancelled.next).toBe("");
    expect(await queue().list({ tenant: "nobody", state: JobState.UNSPECIFIED, size: 10, after: "" })).toEqual({
      records: [],
      next: "",
    });
    await runDry();
  });

  test("an invalid cursor lists nothing", async () => {
    await queue().enqueue(aRecord({ tenant: "pages" }));
    for (const after of ["x", "1x", "x1", "9".repeat(40)]) {
      const page = { tenant: "pages", state: JobState.UNSPECIFIED, size: 3, after };
      expect(await queue().list(page)).toEqual({ records: [], next: "" });
    }
    await runDry();
  });

  test("the status counts open jobs and reports the age of the oldest", async () => {
    expect(await queue().status()).toMatchObject({ open: 0, oldestMs: 0 });
    await queue().enqueue(aRecord());
    await expect.poll(async () => (await queue().status()).oldestMs).toBeGreaterThan(20);
    expect((await queue().status()).open).toBe(1);
    await runDry();
  });

  test("ended jobs are deleted when they are old, open ones never", async () => {
    const [ended, open] = [aRecord(), aRecord()];
    await queue().enqueue(ended);
    await runDry();
    await queue().enqueue(open);
    await queue().erase({ olderThanMs: 3_600_000, deadOlderThanMs: 3_600_000 });
    expect(await stateOf(ended.job.id)).toBe(JobState.DONE);
    expect(await queue().erase({ olderThanMs: 0, deadOlderThanMs: 3_600_000 })).toBeGreaterThan(0);
    expect(await queue().get(ended.job.id)).toBeUndefined();
    expect(await stateOf(open.job.id)).toBe(JobState.ACCEPTED);
    await runDry();
  });

  test("dead jobs have their own retention", async () => {
    const dead = aRecord();
    await queue().enqueue(dead);
    await runDry(JobState.DEAD);
    await queue().erase({ olderThanMs: 0, deadOlderThanMs: 3_600_000 });
    expect(await stateOf(dead.job.id)).toBe(JobState.DEAD);
    expect(await queue().erase({ olderThanMs: 3_600_000, deadOlderThanMs: 0 })).toBeGreaterThan(0);
    expect(await queue().get(dead.job.id)).toBeUndefined();
  });
}
