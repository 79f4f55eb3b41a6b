import type { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { JobPage, JobRetention, JobSelector, QueueStatus } from "./job-queue.ts";

/** One row. Times are Unix milliseconds of the server's clock. */
export interface JobRow {
  readonly id: string;
  readonly tenant: string;
  readonly state: JobState;
  /** The record as text. Empty: the job was erased while a worker held it. */
  readonly record: string;
  /** The token of the last claim. */
  readonly token: string;
  readonly held: boolean;
  /** Number of consecutive leases that expired because their worker died. */
  readonly deaths: number;
  readonly createdAt: number;
  readonly changedAt: number;
}

/** The columns of an insert. */
export interface NewJob {
  readonly id: string;
  readonly tenant: string;
  readonly source: string;
  readonly conversationId: string;
  readonly runId: string;
  readonly state: JobState;
  readonly record: string;
}

/** The condition of a write. */
export interface Expectation {
  readonly token: string;
  readonly held: boolean;
  readonly state?: JobState | undefined;
}

/** The changes of a write. It resets the number of deaths unless `keepDeaths` is set. */
export interface Change {
  readonly state: JobState;
  /** Undefined keeps the stored record. */
  readonly record?: string | undefined;
  /**
   * `hold` renews the lease. A number releases the job, which is due again after so many milliseconds if it is open.
   */
  readonly next: "hold" | number;
  readonly keepDeaths?: boolean;
}

/**
 * The jobs of one store. Every method is one atomic statement or script, and all times are the server's. All drivers
 * share one state machine (docs/architecture.md, *Life of a job*):
 *
 * - insert: ACCEPTED, due at once; with a token: EXECUTING and held.
 * - claim: due and not held, or held with an expired lease → held under the token; ACCEPTED becomes EXECUTING.
 * - extend: held under the token and not erased → the lease starts anew.
 * - write: as expected → the new state; held again, due later, or over.
 * - release: held under the token → due at once. For claims whose answer was lost.
 */
export interface JobTable {
  /** Interval between two claims of an idle worker, in milliseconds. */
  readonly pollMs: number;
  /** Lifetime of a lease without extension, in milliseconds. Infinity: one process owns the table. */
  readonly leaseMs: number;
  /**
   * Returns the existing row with this id; undefined if the job was stored. With an empty token the job is not held.
   */
  insert(job: NewJob, token: string): Promise<JobRow | undefined>;
  /**
   * Inserts a previously stored job again, like `insert`, unless its row exists or was erased recently. Reports whether
   * the row was lost. Absent if the server cannot lose acknowledged writes.
   */
  restore?(job: NewJob, token: string): Promise<boolean>;
  /**
   * Accompanies `restore`: calls `listener` whenever the server answers again after an outage. Returns a function that
   * removes the listener.
   */
  onReturn?(listener: () => Promise<void>): () => void;
  get(id: string): Promise<JobRow | undefined>;
  /** Newest first. The records of a page total at most `bytes`, except for a single larger row. */
  list(page: JobPage & { bytes: number }): Promise<{ rows: JobRow[]; next: string }>;
  /**
   * Claims due rows in the order in which they are due. `expired` includes rows with an expired lease. `suspects`
   * selects only rows that have reached `suspectDeaths`, otherwise only the others.
   */
  claim(request: { token: string; count: number; expired: boolean; suspects: boolean }): Promise<JobRow[]>;
  /** Returns the ids that are still held under their tokens and were not erased. */
  extend(leases: readonly { id: string; token: string }[]): Promise<string[]>;
  /** Returns false if the row does not match the expectation, or was erased. */
  write(id: string, expected: Expectation, change: Change): Promise<boolean>;
  release(token: string): Promise<void>;
  /** Deletes a row if it is held under the token. */
  remove(id: string, token: string): Promise<void>;
  counts(): Promise<QueueStatus>;
  /** Deletes at most `limit` ended rows of each kind. */
  eraseEnded(retention: JobRetention & { limit: number }): Promise<number>;
  /** Deletes the rows of a selector. A held row loses only its content, until its worker is done. */
  eraseMatching(selector: JobSelector): Promise<number>;
  ping(): Promise<void>;
}

/** Consecutive deaths from which a job is claimed alone, because it may be the cause. */
export const suspectDeaths = 2;

/** Maximum of exact counts, which limits the time that counting takes. */
export const countLimit = 100_000;
