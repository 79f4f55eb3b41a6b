import { expect } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { JobQueue } from "../../src/jobs/job-queue.ts";
import { done } from "./conformance-replicas.ts";
import { aRecord } from "./samples.ts";

/**
 * Expects that jobs are released and processed in their order if the queue executes their claim and its answer is lost.
 * `answer` makes the queue's claims answer again.
 */
export async function expectLostClaimsReleased(queue: JobQueue, answer: () => void): Promise<void> {
  const records = Array.from({ length: 5 }, () => aRecord());
  for (const record of records) await queue.enqueue(record);
  const ids: string[] = [];
  const working = queue.work(
    async (record) => {
      ids.push(record.job.id);
      return done(record);
    },
    { concurrency: 5 },
  );
  const stateOf = async (): Promise<JobState | undefined> => (await queue.get(records[0]!.job.id))?.job.state;
  await expect.poll(stateOf, { timeout: 5_000 }).toBe(JobState.EXECUTING);
  expect(ids).toEqual([]);
  answer();
  await expect.poll(() => ids, { timeout: 5_000 }).toEqual(records.map(({ job }) => job.id));
  await working.stop();
}
