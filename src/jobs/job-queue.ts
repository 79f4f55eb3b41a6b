import type { Job, JobState } from "../../gen/jackfield/v1/jobs_pb.ts";

/** A job as it is stored: the message that callers see, and what they do not. */
export interface JobRecord {
  job: Job;
  tenant: string;
  /** Name of the caller who submitted it: its calls run with that caller's rights. */
  caller: string;
  /** Key into the deliveries, or empty: nothing is delivered. */
  delivery: string;
  /** When delivery was first tried, Unix milliseconds; 0 before. */
  deliveringSince: number;
  /** W3C traceparent of the request that brought it, or empty. */
  traceparent: string;
}

/** How a step of work ended. */
export type WorkResult =
  /** Finished for good: the record's state is DONE, DEAD or CANCELLED. */
  | { kind: "ended"; record: JobRecord }
  /** To be taken up again after a pause, in whatever state the record shows. */
  | { kind: "later"; record: JobRecord; afterMs: number };

/** What the runner does with one job. `save` makes a state change durable while the work goes on. */
export type Work = (
  record: JobRecord,
  save: (record: JobRecord) => Promise<void>,
  signal: AbortSignal,
) => Promise<WorkResult>;

/** What ends a subscription to work: stops taking jobs and waits for the running ones, at most until `signal` fires. */
export interface JobWorker {
  stop(signal?: AbortSignal): Promise<void>;
}

/** Numbers for readiness and metrics. */
export interface QueueStatus {
  /** Jobs that are neither done, dead nor cancelled. */
  open: number;
  dead: number;
  /** Age of the oldest open job in milliseconds; 0 where there is none. */
  oldestMs: number;
}

/**
 * The durable queue of jobs. `enqueue` resolves when the job is as durable as the driver makes it. A job whose worker
 * died is given to another within seconds, in the state last saved. Every promise rejects with a JobQueueUnavailableError when
 * the store cannot be reached; then nothing has been promised.
 */
export interface JobQueue {
  /** Stores a job, or finds the one that has this id already. */
  enqueue(record: JobRecord): Promise<{ record: JobRecord; existed: boolean }>;
  get(id: string): Promise<JobRecord | undefined>;
  /** Newest first; `after` is the token of the page before. */
  list(page: {
    tenant: string;
    state: JobState;
    size: number;
    after: string;
  }): Promise<{ records: JobRecord[]; next: string }>;
  /** Takes a dead job up again. `undefined` where the job is unknown, `false` where it is not dead. */
  retry(id: string): Promise<JobRecord | false | undefined>;
  /** Cancels a job that waits for its execution. `undefined` where the job is unknown, `false` where it is too late. */
  cancel(id: string): Promise<JobRecord | false | undefined>;
  /** Gives jobs to `work`, at most `concurrency` side by side. */
  work(work: Work, options: { concurrency: number }): JobWorker;
  status(): Promise<QueueStatus>;
  /** Forgets ended jobs older than this, dead ones when they are seven times as old (job-state.ts). Returns how many. */
  erase(which: { olderThanMs: number }): Promise<number>;
  /** Rejects where the store cannot take a job now. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** The store cannot be reached or cannot write; nothing has been promised to anybody. */
export class JobQueueUnavailableError extends Error {
  override readonly name: string = "JobQueueUnavailableError";
}
