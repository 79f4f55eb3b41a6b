import { equals } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { JobSchema, JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { JobQueue, JobRecord, Work, WorkResult, JobWorker } from "../../src/jobs/job-queue.ts";
import { moved } from "../../src/jobs/job-state.ts";
import type { JobLog } from "../../src/jobs/lease.ts";
import { contents } from "./conformance-contents.ts";
import { faults } from "./conformance-faults.ts";
import { operations } from "./conformance-operations.ts";
import { aRecord } from "./samples.ts";

/** The environment of a driver under test: one store, and replicas on it. */
export interface JobStage {
  /** Opens a replica, whose leases last `leaseMs` and which writes to `log`. */
  open(log?: JobLog): Promise<JobQueue>;
  /** Kills a replica while it works: it extends no lease any more. */
  die(queue: JobQueue, working: JobWorker): Promise<void>;
  /** Corrupts the stored text of a job. */
  corrupt(id: string): Promise<void>;
  /** Returns the stored text of a job. */
  stored(id: string): Promise<string>;
  close(): Promise<void>;
}

/** Time limit until another worker takes over a dead worker's jobs, in milliseconds. */
const takeOverWithinMs = 8_000;
/** The lease of drivers under test, in milliseconds. */
export const leaseMs = 600;

/** Proves that a driver implements the job queue. `unavailable`: the reason why it cannot be tested here. */
export function jobConformance(
  name: string,
  openStage: () => Promise<JobStage>,
  options: { unavailable?: string | undefined } = {},
): void {
  if (options.unavailable !== undefined) {
    describe.skip(`${name}: ${options.unavailable}`, () => {
      test("is not tested here", () => {});
    });
    return;
  }

  describe(name, () => {
    let stage: JobStage;
    let queue: JobQueue;
    const workings: JobWorker[] = [];
    beforeAll(async () => {
      stage = await openStage();
      queue = await stage.open();
    });
    afterEach(async () => {
      for (const working of workings.splice(0)) await working.stop(AbortSignal.timeout(2_000));
    });
    afterAll(async () => {
      await queue.close();
      await stage.close();
    });

    const end = (record: JobRecord, state: JobState = JobState.DONE): WorkResult => ({
      kind: "ended",
      record: forced(record, state),
    });
    const forced = (record: JobRecord, state: JobState): JobRecord => ({ ...record, job: { ...record.job, state } });
    const stateOf = async (id: string): Promise<JobState | undefined> => (await queue.get(id))?.job.state;

    function work(work: Work, concurrency = 4): JobWorker {
      const working = queue.work(work, { concurrency });
      workings.push(working);
      return working;
    }

    /** Ends all jobs, so that the next test starts with an empty queue. */
    async function runDry(state: JobState = JobState.DONE): Promise<void> {
      const working = work(async (record) => end(record, state), 16);
      await expect.poll(async () => (await queue.status()).open, { timeout: takeOverWithinMs }).toBe(0);
      await working.stop();
    }

    test("a job is read as it was written", async () => {
      const record = aRecord({ traceparent: "00-1-2-01", deliveryMs: 5, sanitize: "strict" });
      expect((await queue.enqueue(record)).existed).toBe(false);
      const found = await queue.get(record.job.id);
      // The store sets the times.
      const { createTime, updateTime } = found!.job;
      expect(createTime).toEqual(updateTime);
      const given = { ...record.job, ...(createTime && { createTime }), ...(updateTime && { updateTime }) };
      expect(equals(JobSchema, found!.job, given)).toBe(true);
      expect({ ...found, job: 0 }).toEqual({ ...record, job: 0 });
      expect(await queue.get("nothing")).toBeUndefined();
      await runDry();
    });

    test("the same id again returns the existing job, even after its end", async () => {
      const record = aRecord();
      await queue.enqueue(record);
      const again = await queue.enqueue({ ...record, caller: "somebody else" });
      expect(again).toMatchObject({ existed: true, record: { caller: "crm" } });
      await runDry();
      expect(await queue.enqueue(record)).toMatchObject({ existed: true, record: { job: { state: JobState.DONE } } });
    });

    test("of 100 concurrent submissions of one id, one is new and it runs once", async () => {
      const record = aRecord();
      const answers = await Promise.all(Array.from({ length: 100 }, () => queue.enqueue(record)));
      expect(answers.filter(({ existed }) => !existed)).toHaveLength(1);
      let runs = 0;
      work(async (taken) => {
        runs += 1;
        return end(taken);
      });
      await expect.poll(() => stateOf(record.job.id), { timeout: takeOverWithinMs }).toBe(JobState.DONE);
      expect(runs).toBe(1);
    });

    test("a job is processed, its saved state is visible, and it ends", async () => {
      const record = aRecord();
      const saved = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      work(async (taken, lease) => {
        expect(taken.job.state).toBe(JobState.EXECUTING);
        const delivering = moved(taken, JobState.DELIVERING);
        await lease.save(delivering);
        saved.resolve();
        await goOn.promise;
        return end({ ...delivering, deliveryMs: 7 });
      });
      await queue.enqueue(record);
      await saved.promise;
      expect(await stateOf(record.job.id)).toBe(JobState.DELIVERING);
      goOn.resolve();
      await expect.poll(() => stateOf(record.job.id)).toBe(JobState.DONE);
      expect(await queue.get(record.job.id)).toMatchObject({ deliveryMs: 7 });
    });

    test("the number of concurrent jobs is limited, and all of them run", async () => {
      let running = 0;
      let most = 0;
      let ended = 0;
      for (let index = 0; index < 20; index += 1) await queue.enqueue(aRecord());
      work(async (taken) => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setTimeout(resolve, 5));
        running -= 1;
        ended += 1;
        return end(taken);
      }, 3);
      await expect.poll(() => ended, { timeout: takeOverWithinMs }).toBe(20);
      expect(most).toBe(3);
    });

    test("a postponed job is processed again after its pause, as it was left", async () => {
      const record = aRecord();
      let runs = 0;
      work(async (taken) => {
        runs += 1;
        if (runs === 1)
          return { kind: "later", record: forced({ ...taken, deliveryMs: 9 }, JobState.DELIVERING), afterMs: 300 };
        expect(taken).toMatchObject({ deliveryMs: 9, job: { state: JobState.DELIVERING } });
        return end(taken);
      });
      await queue.enqueue(record);
      await expect.poll(() => stateOf(record.job.id), { timeout: takeOverWithinMs }).toBe(JobState.DONE);
      expect(runs).toBe(2);
    });

    test("a job with the shorter pause is processed first", async () => {
      const [long, short] = [aRecord(), aRecord()];
      const order: string[] = [];
      const began = new Set<string>();
      work(async (taken) => {
        if (!began.has(taken.job.id)) {
          began.add(taken.job.id);
          if (taken.job.id === long.job.id) await queue.enqueue(short);
          const afterMs = taken.job.id === long.job.id ? 3_000 : 50;
          return { kind: "later", record: forced(taken, JobState.DELIVERING), afterMs };
        }
        order.push(taken.job.id);
        return end(taken);
      });
      await queue.enqueue(long);
      await expect.poll(() => order.length, { timeout: takeOverWithinMs + 5_000 }).toBe(2);
      expect(order).toEqual([short.job.id, long.job.id]);
    });

    test("a job whose work throws is not lost: it is processed again as last saved", async () => {
      const record = aRecord();
      let tries = 0;
      work(async (taken, lease) => {
        tries += 1;
        if (tries === 1) {
          await lease.save(forced(taken, JobState.DELIVERING));
          throw new Error("no store");
        }
        expect(taken.job.state).toBe(JobState.DELIVERING);
        return end(taken);
      });
      await queue.enqueue(record);
      await expect.poll(() => stateOf(record.job.id), { timeout: takeOverWithinMs }).toBe(JobState.DONE);
      expect(tries).toBe(2);
    });

    operations({ queue: () => queue, work, end, stateOf, runDry, takeOverWithinMs });

    test("stopping waits for running jobs and takes no more", async () => {
      const [first, second] = [aRecord(), aRecord()];
      const started = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      const working = work(async (taken) => {
        started.resolve();
        await goOn.promise;
        return end(taken);
      }, 1);
      await queue.enqueue(first);
      await started.promise;
      const stopped = working.stop();
      await queue.enqueue(second);
      goOn.resolve();
      await stopped;
      expect(await stateOf(first.job.id)).toBe(JobState.DONE);
      expect(await stateOf(second.job.id)).toBe(JobState.ACCEPTED);
      await runDry();
    });

    test("stopping waits no longer than its signal, and aborts the work", async () => {
      const record = aRecord();
      const started = Promise.withResolvers<void>();
      const told = Promise.withResolvers<void>();
      const working = work(async (taken, { signal }) => {
        started.resolve();
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        told.resolve();
        return { kind: "later", record: taken, afterMs: 0 };
      }, 1);
      await queue.enqueue(record);
      await started.promise;
      await working.stop(AbortSignal.timeout(50));
      await told.promise;
      await runDry();
      expect(await stateOf(record.job.id)).toBe(JobState.DONE);
    });

    test("a job whose worker died is processed by another within seconds, as last saved", async () => {
      const record = aRecord();
      const dying = await stage.open();
      const started = Promise.withResolvers<void>();
      const working = dying.work(
        async (taken, lease) => {
          await lease.save(forced({ ...taken, deliveryMs: 11 }, JobState.DELIVERING));
          started.resolve();
          return await new Promise<never>(() => {});
        },
        { concurrency: 1 },
      );
      await queue.enqueue(record);
      await started.promise;
      await stage.die(dying, working);
      const heir = await stage.open();
      const seen: JobRecord[] = [];
      const inherited = heir.work(
        async (taken) => {
          seen.push(taken);
          return end(taken);
        },
        { concurrency: 1 },
      );
      await expect.poll(() => stateOf(record.job.id), { timeout: takeOverWithinMs }).toBe(JobState.DONE);
      expect(seen).toHaveLength(1);
      expect(seen[0]).toMatchObject({ deliveryMs: 11, job: { state: JobState.DELIVERING } });
      await inherited.stop();
      await heir.close();
    }, 20_000);

    faults({ stage: () => stage, queue: () => queue, takeOverWithinMs });
    contents({ stage: () => stage, queue: () => queue, takeOverWithinMs });

    test("a ping succeeds if a job can be taken", async () => {
      await expect(queue.ping()).resolves.toBeUndefined();
    });
  });
}
