import { expect, test } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { JobRecord } from "../../src/jobs/job-queue.ts";
import { type ConformanceTarget, done, inState, recordingLog, useReplicas } from "./conformance-replicas.ts";
import { aRecord } from "./samples.ts";

/** The part of the conformance suite about stored contents: any ids and names, pages by size, erasure. */
export function contents({ stage, queue, takeOverWithinMs }: ConformanceTarget): void {
  const { replica, stateOf, reaches } = useReplicas({ stage, queue, takeOverWithinMs });

  test("listing and reading while jobs end changes none of them", async () => {
    const records = Array.from({ length: 40 }, () => aRecord({ tenant: "listed" }));
    await replica(async (taken, lease) => {
      await lease.save(inState(taken, JobState.DELIVERING));
      return done(taken);
    });
    const listing = new AbortController();
    const lists = (async () => {
      while (!listing.signal.aborted) {
        await queue().list({ tenant: "listed", state: JobState.UNSPECIFIED, size: 50, after: "" });
      }
    })();
    // Reported below.
    lists.catch(() => undefined);
    await Promise.all(records.map((record) => queue().enqueue(record)));
    for (const { job } of records) await reaches(job.id, JobState.DONE);
    listing.abort();
    await lists;
    const { records: listed } = await queue().list({ tenant: "listed", state: JobState.DONE, size: 50, after: "" });
    expect(listed).toHaveLength(records.length);
  });

  test("jobs of a conversation or a run are erased, by tenant and source, and nothing else", async () => {
    const tenant = "forgetful";
    const of = (runId: string, conversationId: string, source = "genesys", owner = tenant): JobRecord => {
      const record = aRecord({ tenant: owner, context: { runId, conversationId } });
      return { ...record, job: { ...record.job, source } };
    };
    const [byRun, byConversation, foreign, otherSource, both] = [
      of("r1", ""),
      of("r2", "c1"),
      of("r1", "c1", "genesys", "somebody else"),
      of("r1", "c2", "crm"),
      of("r3", "c3"),
    ];
    const all = [byRun, byConversation, foreign, otherSource, both];
    for (const record of all) await queue().enqueue(record);
    const left = async (): Promise<boolean[]> =>
      await Promise.all(all.map(async ({ job }) => (await queue().get(job.id)) !== undefined));
    expect(await queue().erase({ tenant, source: "genesys", runId: "r1" })).toBe(1);
    expect(await left()).toEqual([false, true, true, true, true]);
    expect(await queue().erase({ tenant, conversationId: "c1" })).toBe(1);
    expect(await left()).toEqual([false, false, true, true, true]);
    expect(await queue().erase({ tenant, conversationId: "c3", runId: "r1" })).toBe(0);
    expect(await queue().erase({ tenant, conversationId: "c3", runId: "r3" })).toBe(1);
    expect(await queue().erase({ tenant })).toBe(0);
    expect(await left()).toEqual([false, false, true, true, false]);
    const page = await queue().list({ tenant, state: JobState.UNSPECIFIED, size: 10, after: "" });
    expect(page.records.map(({ job }) => job.id)).toEqual([otherSource.job.id]);
    await replica(async (taken) => done(taken));
    for (const { job } of [foreign, otherSource]) await reaches(job.id, JobState.DONE);
  });

  test("ids and names may contain any characters (hazard 18)", async () => {
    const odd = (suffix: string): string => `a\0b\\0c:{}"'%_\n\u2028😀${suffix}`;
    const [tenant, runId, id] = ["ten:ant 'x", odd(" run"), odd(" id")];
    const record = aRecord({ id, tenant, context: { runId, conversationId: odd(" conversation") } });
    const similar = aRecord({ id: id.replace("\0", "\\0"), tenant, context: { runId: runId.replace("\0", "\\0") } });
    for (const one of [record, similar]) expect((await queue().enqueue(one)).existed).toBe(false);
    expect((await queue().enqueue(record)).existed).toBe(true);
    await replica(async (taken, lease) => {
      await lease.save(inState(taken, JobState.DELIVERING));
      return done(taken);
    });
    for (const { job } of [record, similar]) await reaches(job.id, JobState.DONE);
    const { records } = await queue().list({ tenant, state: JobState.DONE, size: 10, after: "" });
    expect(records.map(({ job }) => job.context?.runId)).toEqual([similar.job.context?.runId, runId]);
    expect(await queue().erase({ tenant, runId })).toBe(1);
    expect(await stateOf(id)).toBeUndefined();
    expect(await stateOf(similar.job.id)).toBe(JobState.DONE);
  });

  test("a job that cannot be read is cancelled with its text as it is, so that a key that returns can read it", async () => {
    const record = aRecord();
    await queue().enqueue(record);
    await stage().corrupt(record.job.id);
    expect(await queue().cancel(record.job.id)).toMatchObject({ job: { state: JobState.CANCELLED } });
    expect(await stage().stored(record.job.id)).toBe("{");
    expect(await queue().get(record.job.id)).toMatchObject({ job: { state: JobState.CANCELLED } });
  });

  test("a job that is erased during its execution leaves nothing behind", async () => {
    const record = aRecord({ tenant: "forgetful", context: { runId: "r9" } });
    const started = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    const { queue: own, worker } = await replica(async (taken) => {
      started.resolve();
      await goOn.promise;
      ended.resolve();
      return done(taken);
    });
    await own.enqueue(record);
    await started.promise;
    expect(await queue().erase({ tenant: "forgetful", runId: "r9" })).toBe(1);
    expect(await stateOf(record.job.id)).toBeUndefined();
    goOn.resolve();
    await ended.promise;
    await worker.stop();
    expect(await stateOf(record.job.id)).toBeUndefined();
    expect(await queue().enqueue(record)).toMatchObject({ existed: false });
    await replica(async (taken) => done(taken));
    await reaches(record.job.id, JobState.DONE);
  });

  test("the work on a job is aborted when its process erases it, and that on other jobs is not", async () => {
    const [erased, kept] = [aRecord({ tenant: "forgetful", context: { runId: "r11" } }), aRecord()];
    const signals = new Map<string, AbortSignal>();
    const goOn = Promise.withResolvers<void>();
    const { queue: own } = await replica(async (taken, lease) => {
      signals.set(taken.job.id, lease.signal);
      await goOn.promise;
      return done(taken);
    });
    for (const record of [erased, kept]) await own.enqueue(record);
    await expect.poll(() => signals.size, { timeout: takeOverWithinMs }).toBe(2);
    expect(await own.erase({ tenant: "forgetful", runId: "r11" })).toBe(1);
    await expect.poll(() => signals.get(erased.job.id)?.aborted).toBe(true);
    expect(signals.get(kept.job.id)?.aborted).toBe(false);
    goOn.resolve();
    await reaches(kept.job.id, JobState.DONE);
  });

  test("a job that is erased before its worker dies is deleted by the next one, which logs nothing", async () => {
    const record = aRecord({ tenant: "forgetful", context: { runId: "r10" } });
    const started = Promise.withResolvers<void>();
    const dying = await replica(async () => {
      started.resolve();
      return await new Promise<never>(() => {});
    });
    await dying.queue.enqueue(record);
    await started.promise;
    expect(await queue().erase({ tenant: "forgetful", runId: "r10" })).toBe(1);
    await stage().die(dying.queue, dying.worker);
    const log = recordingLog();
    await replica(async (taken) => done(taken), { log });
    await expect.poll(async () => (await queue().status()).open, { timeout: takeOverWithinMs }).toBe(0);
    expect(log.lines).toEqual([]);
  });

  test("a page contains at most a mebibyte, but at least one job, and pages are contiguous", async () => {
    const sizes = [300_000, 300_000, 300_000, 1_500_000, 10];
    const records = sizes.map((size) => {
      const record = aRecord({ tenant: "large" });
      record.job.error = "x".repeat(size);
      return record;
    });
    for (const record of records) await queue().enqueue(record);
    const pages: number[] = [];
    const ids: string[] = [];
    let after = "";
    do {
      const page = await queue().list({ tenant: "large", state: JobState.ACCEPTED, size: 100, after });
      pages.push(page.records.length);
      ids.push(...page.records.map(({ job }) => job.id));
      after = page.next;
    } while (after !== "");
    // The stored text is a third longer than the message.
    expect(pages).toEqual([1, 1, 2, 1]);
    expect(ids).toEqual(records.map(({ job }) => job.id).toReversed());
    for (const { job } of records) await queue().cancel(job.id);
  });

  test("old jobs are erased in portions", async () => {
    await queue().erase({ olderThanMs: 0, deadOlderThanMs: 0 });
    const records = Array.from({ length: 520 }, () => aRecord({ tenant: "old" }));
    for (let from = 0; from < records.length; from += 20) {
      const some = records.slice(from, from + 20);
      await Promise.all(some.map((record) => queue().enqueue(record)));
      await Promise.all(some.map(({ job }) => queue().cancel(job.id)));
    }
    const portions: number[] = [];
    for (;;) {
      const count = await queue().erase({ olderThanMs: 0, deadOlderThanMs: 0 });
      if (count === 0) break;
      portions.push(count);
    }
    expect(portions).toEqual([500, 20]);
  });
}
