import type { Job, JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { SanitizeMode } from "../auth/caller.ts";

/** A job as it is stored: the message that callers see, and the fields that they do not. */
export interface JobRecord {
  job: Job;
  tenant: string;
  /** Name of the caller who submitted the job: its calls run with that caller's rights. */
  caller: string;
  /** How strings of its arguments are sanitised where the tool does not say. Undefined where the caller's entry tells. */
  sanitize?: SanitizeMode | undefined;
  /** Key into the deliveries. Empty: nothing is delivered. */
  delivery: string;
  /** Milliseconds spent on the delivery so far: tries and the pauses between them. */
  deliveryMs: number;
  /** Executions in a row that ended with an internal error. */
  failures: number;
  /** W3C traceparent of the request that submitted the job, or empty. */
  traceparent: string;
}

/** How one step of work on a job ended. */
export type WorkResult =
  /** Final: the record's state is DONE, DEAD or CANCELLED. */
  | { kind: "ended"; record: JobRecord }
  /** Continue after a pause, in the state that the record has. */
  | { kind: "later"; record: JobRecord; afterMs: number };

/** The exclusive right to work on one job, until it expires by the server's time. */
export interface JobLease {
  /** Makes the record durable and renews the lease. Rejects with a JobQueueUnavailableError where the lease is lost. */
  save(record: JobRecord): Promise<void>;
  /** Fires when the worker is stopped or the lease is known to be lost. */
  readonly signal: AbortSignal;
  /** False once the lease may have expired: renew it with `save` before anything leaves the process. */
  valid(): boolean;
}

/** Processes one job. */
export type Work = (record: JobRecord, lease: JobLease) => Promise<WorkResult>;

/** A running subscription to jobs. */
export interface JobWorker {
  /** Takes no more jobs and waits for the running ones, at most until `signal` fires. */
  stop(signal?: AbortSignal): Promise<void>;
}

/** Numbers for metrics. Each count is exact up to 100,000. */
export interface QueueStatus {
  /** Jobs that are neither done, dead nor cancelled. */
  open: number;
  dead: number;
  /** Age of the oldest open job in milliseconds; 0 where there is none. */
  oldestMs: number;
}

/** A page of jobs, newest first. */
export interface JobPage {
  tenant: string;
  /** UNSPECIFIED lists all states. */
  state: JobState;
  /** Maximum number of jobs. A page ends earlier where their contents exceed a mebibyte. */
  size: number;
  /** `next` of the page before, or empty. */
  after: string;
}

/** Jobs of one conversation or run. Where both are given, a job must match both. */
export interface JobSelector {
  tenant: string;
  source?: string | undefined;
  conversationId?: string | undefined;
  runId?: string | undefined;
}

/** Which ended jobs are too old, by the time since they ended. */
export interface JobRetention {
  olderThanMs: number;
  deadOlderThanMs: number;
}

/**
 * The durable queue of jobs. `enqueue` resolves when the job is as durable as the driver makes it. A job whose worker
 * died is handed to another within seconds, in the state that was saved last. Every promise rejects with a
 * JobQueueUnavailableError where the store cannot be reached; then nothing has been promised.
 */
export interface JobQueue {
  /** Stores a job, or finds the one that has this id already. */
  enqueue(record: JobRecord): Promise<{ record: JobRecord; existed: boolean }>;
  get(id: string): Promise<JobRecord | undefined>;
  list(page: JobPage): Promise<{ records: JobRecord[]; next: string }>;
  /** Reopens a dead job. `undefined` where the job is unknown, `false` where it is not dead. */
  retry(id: string): Promise<JobRecord | false | undefined>;
  /** Cancels a job that waits for its execution. `undefined` where the job is unknown, `false` where it is too late. */
  cancel(id: string): Promise<JobRecord | false | undefined>;
  /** Hands jobs to `work`, at most `concurrency` side by side. */
  work(work: Work, options: { concurrency: number }): JobWorker;
  status(): Promise<QueueStatus>;
  /**
   * Deletes all jobs of a selector, or ended jobs that are too old: of these at most 1,000, so that nothing else waits
   * for long. Returns how many; call again until it is 0.
   */
  erase(which: JobSelector | JobRetention): Promise<number>;
  /** Rejects where the store cannot take a job now, or where jobs are not fetched. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** The store cannot be reached or cannot write, or a lease was lost; nothing has been promised. */
export class JobQueueUnavailableError extends Error {
  override readonly name: string = "JobQueueUnavailableError";
}
