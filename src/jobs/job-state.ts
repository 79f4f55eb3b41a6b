import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { JobState, JobStateSchema } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { JobRecord } from "./job-queue.ts";

/** Dead jobs are kept this many times as long as other ended ones: a person has to look at them. */
export const deadLetterFactor = 7;

const legal: ReadonlyMap<JobState, readonly JobState[]> = new Map([
  [JobState.ACCEPTED, [JobState.EXECUTING, JobState.CANCELLED]],
  [JobState.EXECUTING, [JobState.DELIVERING, JobState.DONE, JobState.DEAD]],
  [JobState.DELIVERING, [JobState.DONE, JobState.DEAD]],
  [JobState.DEAD, [JobState.ACCEPTED, JobState.DELIVERING]],
]);

/** Tells whether a job may go from one state to another. Staying is always legal. */
export function mayBecome(from: JobState, to: JobState): boolean {
  return from === to || (legal.get(from)?.includes(to) ?? false);
}

/** Tells whether a job in this state is done, dead or cancelled. */
export function isOver(state: JobState): boolean {
  return state === JobState.DONE || state === JobState.DEAD || state === JobState.CANCELLED;
}

/** The record in its next state, with `change` made to its job. Throws on a change of state that is not legal. */
export function moved(record: JobRecord, state: JobState, now: number, change: { error?: string } = {}): JobRecord {
  const from = record.job.state;
  if (!mayBecome(from, state)) throw new Error(`a job may not go from ${nameOf(from)} to ${nameOf(state)}`);
  return { ...record, job: { ...record.job, ...change, state, updateTime: timestampFromMs(now) } };
}

/** A dead job as a person's retry takes it up: to be delivered where it has its results, else to be executed. */
export function retried(record: JobRecord, now: number): JobRecord {
  const executed = record.job.results.length > 0;
  return {
    ...moved(record, executed ? JobState.DELIVERING : JobState.ACCEPTED, now, { error: "" }),
    deliveringSince: 0,
  };
}

function nameOf(state: JobState): string {
  return JobStateSchema.value[state]?.localName ?? String(state);
}
