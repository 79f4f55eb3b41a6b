import type { Job, JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { SanitizeMode } from "../auth/caller.ts";

/** A job in stored form: the message that callers see, and internal fields. */
export interface JobRecord {
  job: Job;
  tenant: string;
  /** Name of the caller who submitted the job. Its calls run with that caller's rights. */
  caller: string;
  /**
   * How string arguments are sanitised when the tool does not specify it. Undefined: as the caller's configuration
   * says.
   */
  sanitize?: SanitizeMode | undefined;
  /** Key into the deliveries. Empty: the results are not delivered. */
  delivery: string;
  /** Milliseconds spent on the delivery so far, including pauses. */
  deliveryMs: number;
  /** Number of consecutive executions that ended with an internal error. */
  failures: number;
  /** W3C traceparent of the request that submitted the job; may be empty. */
  traceparent: string;
}

/** The result of one step of work on a job. */
export type WorkResult =
  /** Final: the record's state is DONE, DEAD or CANCELLED. */
  | { kind: "ended"; record: JobRecord }
  /** Continue after a pause, in the record's state. */
  | { kind: "later"; record: JobRecord; afterMs: number };

/** The exclusive right to work on one job. It expires by the server's time unless it is renewed. */
export interface JobLease {
  /** Makes the record durable and renews the lease. Rejects with a JobQueueUnavailableError if the lease is lost. */
  save(record: JobRecord): Promise<void>;
  /** Fires when the worker is stopped or the lease is known to be lost. */
  readonly signal: AbortSignal;
  /** False once the lease may have expired. Renew it with `save` before sending anything. */
  valid(): boolean;
}

/** Processes one job. */
export type Work = (record: JobRecord, lease: JobLease) => Promise<WorkResult>;

/** A running consumer of jobs. */
export interface JobWorker {
  /** Stops taking jobs and waits for the running ones, until `signal` fires at the latest. */
  stop(signal?: AbortSignal): Promise<void>;
}

/** Figures for metrics. Each count is exact up to 100,000. */
export interface QueueStatus {
  /** Number of jobs that are neither done, dead nor cancelled. */
  open: number;
  dead: number;
  /** Age of the oldest open job in milliseconds; 0 if there is none. */
  oldestMs: number;
}

/** Selects a page of jobs, newest first. */
export interface JobPage {
  tenant: string;
  /** UNSPECIFIED lists all states. */
  state: JobState;
  /** Maximum number of jobs. A page ends earlier if its contents exceed a mebibyte. */
  size: number;
  /** `next` of the previous page, or empty. */
  after: string;
}

/** Selects the jobs of a conversation or run. If both are given, a job must match both. */
export interface JobSelector {
  tenant: string;
  source?: string | undefined;
  conversationId?: string | undefined;
  runId?: string | undefined;
}

/** Maximum age of ended jobs, by the time since they ended. */
export interface JobRetention {
  olderThanMs: number;
  deadOlderThanMs: number;
}

/**
 * The durable queue of jobs. `enqueue` resolves when the job is as durable as the driver makes it. If a worker dies,
 * another receives its jobs within seconds, in the state that was saved last. Every promise rejects with a
 * JobQueueUnavailableError if the store is unavailable; then nothing has been promised.
 */
export interface JobQueue {
  /**
   * Stores a job, or returns the existing job with this id. Rejects as unavailable while a worker still holds an erased
   * job with this id.
   */
  enqueue(record: JobRecord): Promise<{ record: JobRecord; existed: boolean }>;
  get(id: string): Promise<JobRecord | undefined>;
  list(page: JobPage): Promise<{ records: JobRecord[]; next: string }>;
  /** Reopens a dead job. Resolves with `undefined` if the job is unknown, `false` if it is not dead. */
  retry(id: string): Promise<JobRecord | false | undefined>;
  /**
   * Cancels a job that waits for its execution. Resolves with `undefined` if the job is unknown, `false` if it is too
   * late.
   */
  cancel(id: string): Promise<JobRecord | false | undefined>;
  /** Passes jobs to `work`, at most `concurrency` at a time. */
  work(work: Work, options: { concurrency: number }): JobWorker;
  status(): Promise<QueueStatus>;
  /**
   * Deletes all jobs of a selector, or ended jobs past their retention: of these at most 1,000, to limit the time that
   * other requests wait. Returns the number of deleted jobs; repeat until it is 0.
   */
  erase(which: JobSelector | JobRetention): Promise<number>;
  /** Rejects if the store cannot take a job at present, or if the worker is not fetching jobs. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Thrown when the store is unreachable or cannot write, or when a lease was lost; nothing has been promised. */
export class JobQueueUnavailableError extends Error {
  override readonly name: string = "JobQueueUnavailableError";
}
