import { createHash } from "node:crypto";
import { DelayedError, UnrecoverableError } from "bullmq";
import type { Job } from "bullmq";
import { JobState } from "../../../gen/jackfield/v1/jobs_pb.ts";
import { recordFromStored, type StoredJob, storedFromRecord } from "../job-codec.ts";
import { JobQueueUnavailableError } from "../job-queue.ts";
import type { JobQueue, JobRecord, Work, JobWorker } from "../job-queue.ts";
import { deadLetterFactor, moved, retried } from "../job-state.ts";
import type { JobEngine } from "./engine.ts";

/** How long a worker holds a job without saying that it lives, in milliseconds. */
const lockMs = 2_000;
/** Pause before a job is taken up again whose work threw, in milliseconds. */
const afterThrowMs = 1_000;
/** How many jobs a filtered listing reads for one page at most. */
const scanLimit = 5_000;
/** How long closing a worker may take, in milliseconds, when its server does not answer. */
const closeMs = 2_000;

/** The job queue on BullMQ, shared by replicas. What is kept of a job is its record; BullMQ decides who works on it. */
export function createBullmqJobQueue(engine: JobEngine): JobQueue {
  const { index } = engine;
  const closing: Promise<void>[] = [];

  async function ask<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await engine.ask(run);
    } catch (cause) {
      throw new JobQueueUnavailableError(cause instanceof Error ? cause.message : String(cause), { cause });
    }
  }

  async function add(record: JobRecord): Promise<{ record: JobRecord; existed: boolean }> {
    const jobId = engineId(record.job.id);
    return await ask(async () => {
      const [isNew] = await Promise.all([
        index.add(record.tenant, jobId),
        engine.queue.add("job", storedFromRecord(record), {
          jobId,
          // An error of the queue's own, a lost connection say, must never end a job.
          attempts: 1_000_000_000,
          backoff: { type: "fixed", delay: afterThrowMs },
        }),
      ]);
      if (isNew) return { record, existed: false };
      const kept = await engine.queue.getJob(jobId);
      return { record: kept === undefined ? record : recordFrom(kept), existed: true };
    });
  }

  async function process(work: Work, job: Job<StoredJob>, token: string, signal: AbortSignal): Promise<void> {
    let last = recordFrom(job);
    if (last.job.state === JobState.CANCELLED) return;
    const save = async (next: JobRecord): Promise<void> => {
      // Another worker may have taken the job over while this one was cut off: then nothing may be written any more.
      if (!(await job.extendLock(token, lockMs)))
        throw new JobQueueUnavailableError("the job belongs to another worker now");
      await job.updateData(storedFromRecord(next));
      last = next;
    };
    const worked = await work(last, save, signal).catch(() => ({
      kind: "later" as const,
      record: last,
      afterMs: afterThrowMs,
    }));
    await save(worked.record);
    if (worked.kind === "later") {
      await job.moveToDelayed(Date.now() + worked.afterMs, token);
      throw new DelayedError();
    }
    if (worked.record.job.state === JobState.DEAD) throw new UnrecoverableError(worked.record.job.error || "dead");
  }

  function work(work: Work, { concurrency }: { concurrency: number }): JobWorker {
    const abort = new AbortController();
    const running = new Set<Promise<void>>();
    const worker = engine.createWorker(
      async (job, token = "", signal = abort.signal) => {
        const ended = Promise.withResolvers<void>();
        running.add(ended.promise);
        try {
          await process(work, job, token, AbortSignal.any([signal, abort.signal]));
        } finally {
          running.delete(ended.promise);
          ended.resolve();
        }
      },
      {
        concurrency,
        lockDuration: lockMs,
        stalledInterval: 1_000,
        maxStalledCount: 1_000_000_000,
        drainDelay: 5,
        runRetryDelay: 1_000,
      },
    );

    async function stop(signal?: AbortSignal): Promise<void> {
      await within(closeMs, worker.pause(true));
      const out = Promise.withResolvers<void>();
      const leave = (): void => {
        abort.abort(new Error("the service is shutting down"));
        out.resolve();
      };
      if (signal?.aborted) leave();
      signal?.addEventListener("abort", leave, { once: true });
      while (running.size > 0 && !abort.signal.aborted) await Promise.race([Promise.all(running), out.promise]);
      signal?.removeEventListener("abort", leave);
      await within(closeMs, worker.close(running.size > 0));
      await engine.freeWorker(worker);
    }

    let stopped: Promise<void> | undefined;
    return {
      stop: async (signal) => {
        stopped ??= stop(signal);
        closing.push(stopped);
        await stopped;
      },
    };
  }

  return {
    enqueue: add,
    async get(id) {
      const job = await ask(() => engine.queue.getJob(engineId(id)));
      return job === undefined ? undefined : recordFrom(job);
    },
    async list({ tenant, state, size, after }) {
      return await ask(async () => {
        const records: JobRecord[] = [];
        let before = after;
        for (let scanned = 0; scanned < scanLimit;) {
          const places = await index.page(tenant, before, Math.max(size, 50));
          const jobs = await Promise.all(places.map(({ id }) => engine.queue.getJob(id)));
          for (const [position, job] of jobs.entries()) {
            if (job !== undefined && records.length === size) return { records, next: before };
            before = places[position]?.place ?? before;
            const record = job === undefined ? undefined : recordFrom(job);
            if (record && (state === JobState.UNSPECIFIED || record.job.state === state)) records.push(record);
          }
          if (places.length === 0) return { records, next: "" };
          scanned += places.length;
        }
        return { records, next: before };
      });
    },
    async retry(id) {
      return await ask(async () => {
        const job = await engine.queue.getJob(engineId(id));
        if (job === undefined) return undefined;
        if (!(await job.isFailed())) return false;
        try {
          await job.retry("failed");
        } catch (cause) {
          if (await job.isFailed()) throw cause;
          return false;
        }
        return retried(recordFromStored(job.data), Date.now());
      });
    },
    async cancel(id) {
      return await ask(async () => {
        const job = await engine.queue.getJob(engineId(id));
        if (job === undefined) return undefined;
        const record = recordFrom(job);
        if (record.job.state !== JobState.ACCEPTED) return false;
        try {
          // Refused by the server where a worker has it.
          await job.remove();
        } catch (cause) {
          if (await job.isActive()) return false;
          throw cause;
        }
        const answer = await add(moved(record, JobState.CANCELLED, Date.now()));
        return answer.record;
      });
    },
    work,
    async status() {
      return await ask(async () => {
        const open = ["wait", "active", "delayed", "prioritized"] as const;
        const [counts, ...oldest] = await Promise.all([
          engine.queue.getJobCounts(...open, "failed"),
          ...(["wait", "active", "delayed"] as const).map((state) => engine.queue.getJobs([state], 0, 0, true)),
        ]);
        const times = oldest.flat().flatMap((job) => (job ? [job.timestamp] : []));
        return {
          open: open.reduce((sum, state) => sum + (counts[state] ?? 0), 0),
          dead: counts["failed"] ?? 0,
          oldestMs: times.length === 0 ? 0 : Math.max(0, Date.now() - Math.min(...times)),
        };
      });
    },
    async erase({ olderThanMs }) {
      let erased = 0;
      for (const [state, ageMs] of [
        ["completed", olderThanMs],
        ["failed", olderThanMs * deadLetterFactor],
      ] as const) {
        for (;;) {
          const ids = await ask(async () => {
            const gone = await engine.queue.clean(ageMs, 1_000, state);
            await index.remove(gone);
            return gone;
          });
          erased += ids.length;
          if (ids.length < 1_000) break;
        }
      }
      return erased;
    },
    ping: () => ask(() => engine.ping()),
    async close() {
      await Promise.allSettled(closing);
      await engine.close();
    },
  };
}

/** BullMQ takes no id with a colon, nor one that looks like a number: others are kept by their digest. */
function engineId(id: string): string {
  return /^[\w.-]{1,200}$/.test(id) ? `j-${id}` : `h-${createHash("sha256").update(id).digest("hex")}`;
}

/** The record of a job. A dead one that BullMQ has open again was retried by a person: that is one change on the server. */
function recordFrom(job: Job<StoredJob>): JobRecord {
  const record = recordFromStored(job.data);
  return record.job.state === JobState.DEAD && !job.finishedOn ? retried(record, Date.now()) : record;
}

async function within(ms: number, closing: Promise<unknown>): Promise<void> {
  await Promise.race([closing.catch(() => {}), new Promise((resolve) => setTimeout(resolve, ms).unref())]);
}
