import { create } from "@bufbuild/protobuf";
import { afterEach, describe, expect, test, vi } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { JobQueueUnavailableError } from "../../src/jobs/job-queue.ts";
import type { JobQueue, JobRecord, JobWorker, Work, WorkResult } from "../../src/jobs/job-queue.ts";
import type { JobLog } from "../../src/jobs/lease.ts";
import type { JobStage } from "./conformance.ts";
import { aRecord } from "./samples.ts";

/** What the tests below work on; asked for in each test. */
interface Tried {
  stage(): JobStage;
  queue(): JobQueue;
  readonly takeOverWithinMs: number;
}

const inState = (record: JobRecord, state: JobState): JobRecord => ({ ...record, job: { ...record.job, state } });
const done = (record: JobRecord): WorkResult => ({ kind: "ended", record: inState(record, JobState.DONE) });

/** Keeps what a queue tells the operator. */
function keptLog(): JobLog & { lines: string[] } {
  const lines: string[] = [];
  const keep = (fields: object, message: string): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
  return { lines, warn: keep, error: keep };
}

/** The part of the conformance suite in which something breaks. */
export function faults({ stage, queue, takeOverWithinMs }: Tried): void {
  const running: { replica: JobQueue; worker: JobWorker }[] = [];
  afterEach(async () => {
    vi.useRealTimers();
    for (const { replica, worker } of running.splice(0)) {
      await worker.stop(AbortSignal.timeout(500));
      await replica.close();
    }
  });

  async function replica(work: Work, options: { log?: JobLog; concurrency?: number } = {}) {
    const one = await stage().open(options.log);
    const worker = one.work(work, { concurrency: options.concurrency ?? 4 });
    running.push({ replica: one, worker });
    return { queue: one, worker };
  }

  const stateOf = async (id: string): Promise<JobState | undefined> => (await queue().get(id))?.job.state;
  const reaches = (id: string, state: JobState): Promise<void> =>
    expect.poll(() => stateOf(id), { timeout: takeOverWithinMs }).toBe(state);

  describe("a frozen worker", () => {
    test("cannot overwrite a job that another worker has taken or finished", async () => {
      const record = aRecord();
      const held = Promise.withResolvers<void>();
      const thaw = Promise.withResolvers<void>();
      const late: unknown[] = [];
      const goOn = Promise.withResolvers<void>();
      const taken = Promise.withResolvers<void>();
      const frozen = await replica(async (first, lease) => {
        const stale = inState(first, JobState.DELIVERING);
        held.resolve();
        await thaw.promise;
        late.push(await lease.save(stale).catch((cause: unknown) => cause), lease.valid());
        return { kind: "later", record: stale, afterMs: 0 };
      });
      await frozen.queue.enqueue(record);
      await held.promise;
      await stage().die(frozen.queue, frozen.worker);
      await replica(async (second) => {
        taken.resolve();
        await goOn.promise;
        return done({ ...second, deliveryMs: 77 });
      });
      await taken.promise;
      thaw.resolve();
      await expect.poll(() => late).toHaveLength(2);
      expect(await stateOf(record.job.id)).toBe(JobState.EXECUTING);
      goOn.resolve();
      await reaches(record.job.id, JobState.DONE);
      expect(late).toEqual([expect.any(JobQueueUnavailableError), false]);
      expect(await queue().get(record.job.id)).toMatchObject({ deliveryMs: 77, job: { state: JobState.DONE } });
    });
  });

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
    await Promise.all(records.map((record) => queue().enqueue(record)));
    for (const { job } of records) await reaches(job.id, JobState.DONE);
    listing.abort();
    await lists;
    const { records: listed } = await queue().list({ tenant: "listed", state: JobState.DONE, size: 50, after: "" });
    expect(listed).toHaveLength(records.length);
  });

  test("a row that cannot be read becomes dead with a log line, and the others continue (hazard 57)", async () => {
    const [bad, good] = [aRecord({ tenant: "spoilt" }), aRecord({ tenant: "spoilt" })];
    for (const record of [bad, good]) await queue().enqueue(record);
    await stage().corrupt(bad.job.id);
    const log = keptLog();
    const seen: string[] = [];
    await replica(
      async (taken) => {
        seen.push(taken.job.id);
        return done(taken);
      },
      { log },
    );
    await reaches(bad.job.id, JobState.DEAD);
    await reaches(good.job.id, JobState.DONE);
    expect(seen).toEqual([good.job.id]);
    expect(log.lines.join()).toContain(bad.job.id);
    const { records } = await queue().list({ tenant: "spoilt", state: JobState.DEAD, size: 10, after: "" });
    expect(records.map(({ job }) => [job.id, job.error.startsWith("the stored job cannot be read")])).toEqual([
      [bad.job.id, true],
    ]);
  });

  test("a job during which its process died three times in a row is set aside; one that makes progress is not", async () => {
    const [poison, innocent] = [aRecord(), aRecord()];
    for (const record of [poison, innocent]) await queue().enqueue(record);
    for (let death = 0; death < 3; death += 1) {
      const started = Promise.withResolvers<void>();
      const dying = await replica(async (taken, lease) => {
        if (taken.job.id === innocent.job.id) await lease.save(inState(taken, JobState.DELIVERING));
        if (taken.job.id === poison.job.id) started.resolve();
        return await new Promise<never>(() => {});
      });
      await started.promise;
      await stage().die(dying.queue, dying.worker);
    }
    const log = keptLog();
    const seen: string[] = [];
    await replica(
      async (taken) => {
        seen.push(taken.job.id);
        return done(taken);
      },
      { log },
    );
    await reaches(poison.job.id, JobState.DEAD);
    await reaches(innocent.job.id, JobState.DONE);
    expect(seen).toEqual([innocent.job.id]);
    expect((await queue().get(poison.job.id))?.job.error).toContain("the process died 3 times in a row");
    expect(log.lines.join()).toContain(poison.job.id);
    // A person may look into it and try once more.
    expect(await queue().retry(poison.job.id)).toMatchObject({ job: { state: JobState.ACCEPTED } });
    await reaches(poison.job.id, JobState.DONE);
  }, 30_000);

  test("jobs that may have killed their process twice run one at a time, beside the others", async () => {
    const suspects = [aRecord(), aRecord(), aRecord()];
    for (const record of suspects) await queue().enqueue(record);
    for (let death = 0; death < 2; death += 1) {
      let started = 0;
      const dying = await replica(async () => {
        started += 1;
        return await new Promise<never>(() => {});
      });
      await expect.poll(() => started, { timeout: takeOverWithinMs }).toBe(suspects.length);
      await stage().die(dying.queue, dying.worker);
    }
    let atOnce = 0;
    let maxAtOnce = 0;
    const { queue: own } = await replica(async (taken) => {
      if (suspects.every(({ job }) => job.id !== taken.job.id)) return done(taken);
      atOnce += 1;
      maxAtOnce = Math.max(maxAtOnce, atOnce);
      const other = aRecord();
      await own.enqueue(other);
      await reaches(other.job.id, JobState.DONE);
      atOnce -= 1;
      return done(taken);
    });
    for (const { job } of suspects) await reaches(job.id, JobState.DONE);
    expect(maxAtOnce).toBe(1);
  }, 30_000);

  test("a job that the store has lost is written again by its worker, with a log line", async () => {
    const record = aRecord();
    const started = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const log = keptLog();
    const { queue: own } = await replica(
      async (taken, lease) => {
        started.resolve();
        await goOn.promise;
        const executed = inState(taken, JobState.DELIVERING);
        executed.job.results = [create(ToolResultSchema, { callId: "call-1", output: "{}" })];
        await lease.save(executed);
        return done(executed);
      },
      { log },
    );
    await own.enqueue(record);
    await started.promise;
    await stage().lose(record.job.id);
    goOn.resolve();
    await reaches(record.job.id, JobState.DONE);
    expect((await queue().get(record.job.id))?.job.results).toHaveLength(1);
    expect(log.lines).toEqual([expect.stringContaining(record.job.id)]);
  });

  test("this machine's clock has no influence", async () => {
    const dead = aRecord();
    await queue().enqueue(dead);
    const burying = await replica(async (taken) => ({ kind: "ended", record: inState(taken, JobState.DEAD) }));
    await reaches(dead.job.id, JobState.DEAD);
    await burying.worker.stop();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 8 * 86_400_000 });
    expect(await queue().erase({ olderThanMs: 3_600_000, deadOlderThanMs: 3_600_000 })).toBe(0);
    const later = aRecord();
    let tries = 0;
    const ahead = await replica(async (taken) => {
      tries += 1;
      return { kind: "later", record: taken, afterMs: 50 };
    });
    await ahead.queue.enqueue(later);
    await expect.poll(() => tries).toBeGreaterThan(0);
    await ahead.worker.stop();
    vi.useRealTimers();
    await replica(async (taken) => done(taken));
    await reaches(later.job.id, JobState.DONE);
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

  test("work starts after the submitter has its answer, even if a worker is waiting for it", async () => {
    const order: string[] = [];
    let idle = false;
    const { queue: own } = await replica(async (taken) => {
      if (taken.tenant === "order") order.push("work");
      idle = true;
      return done(taken);
    });
    await own.enqueue(aRecord());
    await expect.poll(() => idle).toBe(true);
    const record = aRecord({ tenant: "order" });
    await own.enqueue(record);
    order.push("answer");
    await new Promise((resolve) => setImmediate(resolve));
    order.push("written");
    await reaches(record.job.id, JobState.DONE);
    expect(order).toEqual(["answer", "written", "work"]);
  });
}
