import { describe, expect, test, vi } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { JobQueueUnavailableError, type Work } from "../../src/jobs/job-queue.ts";
import { type ConformanceTarget, done, inState, recordingLog, useReplicas } from "./conformance-replicas.ts";
import { aRecord } from "./samples.ts";

/** The part of the conformance suite about failures. */
export function faults({ stage, queue, takeOverWithinMs }: ConformanceTarget): void {
  const { replica, stateOf, reaches } = useReplicas({ stage, queue, takeOverWithinMs });

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

    test("writes nothing back of a job that has ended elsewhere and was erased", async () => {
      const record = aRecord({ tenant: "thawed", context: { runId: "frozen" } });
      const held = Promise.withResolvers<void>();
      const thaw = Promise.withResolvers<void>();
      const late = Promise.withResolvers<unknown>();
      const frozen = await replica(async (first, lease) => {
        const stale = inState(first, JobState.DELIVERING);
        held.resolve();
        await thaw.promise;
        late.resolve(lease.save(stale).catch((cause: unknown) => cause));
        await late.promise;
        return { kind: "later", record: stale, afterMs: 0 };
      });
      await frozen.queue.enqueue(record);
      await held.promise;
      await stage().die(frozen.queue, frozen.worker);
      await replica(async (second) => done(second));
      await reaches(record.job.id, JobState.DONE);
      expect(await queue().erase({ tenant: "thawed", runId: "frozen" })).toBe(1);
      thaw.resolve();
      expect(await late.promise).toBeInstanceOf(JobQueueUnavailableError);
      expect(await queue().enqueue(record)).toMatchObject({ existed: false });
      await reaches(record.job.id, JobState.DONE);
    });
  });

  test("a job that takes longer than its lease stays with its worker", async () => {
    const [long, postponed] = [aRecord(), aRecord()];
    const overdue = Promise.withResolvers<void>();
    const runs: string[] = [];
    let signal: AbortSignal | undefined;
    const work: Work = async (taken, lease) => {
      runs.push(taken.job.id);
      if (taken.job.id === long.job.id) {
        signal = lease.signal;
        await overdue.promise;
      } else if (runs.filter((id) => id === postponed.job.id).length === 1) {
        // More than three leases, by the clock of the store.
        return { kind: "later", record: taken, afterMs: 2_000 };
      } else {
        overdue.resolve();
      }
      return done(taken);
    };
    await replica(work);
    await replica(work);
    for (const record of [long, postponed]) await queue().enqueue(record);
    await reaches(long.job.id, JobState.DONE);
    expect(runs.filter((id) => id === long.job.id)).toHaveLength(1);
    expect(signal?.aborted).toBe(false);
  });

  test("a row that cannot be read becomes dead with a log line, and the others continue (hazard 57)", async () => {
    const [bad, good] = [aRecord({ tenant: "spoilt" }), aRecord({ tenant: "spoilt" })];
    for (const record of [bad, good]) await queue().enqueue(record);
    await stage().corrupt(bad.job.id);
    const log = recordingLog();
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
    const log = recordingLog();
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
    // An operator may look into it and try once more.
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
