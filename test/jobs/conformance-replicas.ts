import { afterEach, expect, vi } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { JobQueue, JobRecord, JobWorker, Work, WorkResult } from "../../src/jobs/job-queue.ts";
import type { JobLog } from "../../src/jobs/lease.ts";
import type { JobStage } from "./conformance.ts";

/** The stage and queue under test. Tests read them when they run, because hooks create them. */
export interface ConformanceTarget {
  stage(): JobStage;
  queue(): JobQueue;
  readonly takeOverWithinMs: number;
}

export const inState = (record: JobRecord, state: JobState): JobRecord => ({
  ...record,
  job: { ...record.job, state },
});
export const done = (record: JobRecord): WorkResult => ({ kind: "ended", record: inState(record, JobState.DONE) });

/** A log that records its lines. */
export function recordingLog(): JobLog & { lines: string[] } {
  const lines: string[] = [];
  const keep = (fields: object, message: string): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
  return { lines, warn: keep, error: keep };
}

/** Opens replicas for tests, and closes them after each test. */
export function useReplicas({ stage, queue, takeOverWithinMs }: ConformanceTarget) {
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

  return { replica, stateOf, reaches };
}
