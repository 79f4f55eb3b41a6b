import { JobState, JobStateSchema } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { JobRecord } from "./job-queue.ts";

const transitions: ReadonlyMap<JobState, readonly JobState[]> = new Map([
  [JobState.ACCEPTED, [JobState.EXECUTING, JobState.CANCELLED]],
  [JobState.EXECUTING, [JobState.DELIVERING, JobState.DONE, JobState.DEAD]],
  [JobState.DELIVERING, [JobState.DONE, JobState.DEAD]],
  [JobState.DEAD, [JobState.ACCEPTED, JobState.DELIVERING]],
]);

/** Reports whether a job may change from one state to another. Keeping the state is always legal. */
export function mayBecome(from: JobState, to: JobState): boolean {
  return from === to || (transitions.get(from)?.includes(to) ?? false);
}

/** Reports whether a job in this state is done, dead or cancelled. */
export function isOver(state: JobState): boolean {
  return state === JobState.DONE || state === JobState.DEAD || state === JobState.CANCELLED;
}

/** The state of a job that a worker has claimed. */
export function claimedState(state: JobState): JobState {
  return state === JobState.ACCEPTED ? JobState.EXECUTING : state;
}

/** Returns the record in its next state, with `change` applied to its job. Throws on an illegal transition. */
export function moved(record: JobRecord, state: JobState, change: { error?: string } = {}): JobRecord {
  const from = record.job.state;
  if (!mayBecome(from, state)) throw new Error(`a job may not go from ${nameOf(from)} to ${nameOf(state)}`);
  return { ...record, job: { ...record.job, ...change, state } };
}

/** Returns a dead job as a retry reopens it: for delivery if it has its results, otherwise for execution. */
export function retried(record: JobRecord): JobRecord {
  const executed = record.job.results.length > 0;
  const reopened = moved(record, executed ? JobState.DELIVERING : JobState.ACCEPTED, { error: "" });
  return { ...reopened, deliveryMs: 0, failures: 0 };
}

function nameOf(state: JobState): string {
  return JobStateSchema.value[state]?.localName ?? String(state);
}
