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
  /** Leases in a row that expired without a word from their worker. */
  readonly deaths: number;
  readonly createdAt: number;
  readonly changedAt: number;
}

/** What an insert stores. */
export interface NewJob {
  readonly id: string;
  readonly tenant: string;
  readonly source: string;
  readonly conversationId: string;
  readonly runId: string;
  readonly state: JobState;
  readonly record: string;
}

/** On which condition a row is written. */
export interface Expectation {
  readonly token: string;
  readonly held: boolean;
  readonly state?: JobState | undefined;
}

/** What a write changes. It ends the count of deaths unless `keepDeaths` is set. */
export interface Change {
  readonly state: JobState;
  /** Undefined keeps the record. */
  readonly record?: string | undefined;
  /** `hold` renews the lease. A number gives the job back: it is due again after so many milliseconds, if it is open. */
  readonly next: "hold" | number;
  readonly keepDeaths?: boolean;
}

/**
 * The jobs of one store. Every method is one atomic statement or script, and all times are the server's. The state
 * machine (docs/architecture.md, *Life of a job*) is the same for all drivers:
 *
 * - insert: ACCEPTED, due at once; with a token: EXECUTING and held.
 * - claim: due and not held, or held with an expired lease → held under the token; ACCEPTED becomes EXECUTING.
 * - extend: held under the token → the lease starts anew.
 * - write: as expected → the new state; held again, due later, or over.
 * - release: held under the token → due at once. For claims whose answer was lost.
 */
export interface JobTable {
  /** Pause between two claims of an idle worker, in milliseconds. */
  readonly pollMs: number;
  /** Time after which a lease that is not extended expires, in milliseconds. Infinity: one process owns the table. */
  readonly leaseMs: number;
  /** Answers the row that has this id already; undefined where the job was stored. An empty token: it is not held. */
  insert(job: NewJob, token: string): Promise<JobRow | undefined>;
  /**
   * Inserts a job that was stored before, unless its row is there or was erased a moment ago. Reports whether the row was gone.
   * Left out where the server loses nothing that it has acknowledged.
   */
  restore?(job: NewJob): Promise<boolean>;
  /** Beside `restore`: calls `listener` whenever the server answers again after an outage. Returns what ends that. */
  onReturn?(listener: () => Promise<void>): () => void;
  get(id: string): Promise<JobRow | undefined>;
  /** Newest first; the rows of a page hold at most `bytes` of records, or one row. */
  list(page: JobPage & { bytes: number }): Promise<{ rows: JobRow[]; next: string }>;
  /**
   * Claims due rows in the order in which they are due. `expired`: also those whose lease has expired. `suspects`: only
   * rows that have reached `suspectDeaths` by then, else only the others.
   */
  claim(request: { token: string; count: number; expired: boolean; suspects: boolean }): Promise<JobRow[]>;
  /** Answers the ids that are still held under their tokens. */
  extend(leases: readonly { id: string; token: string }[]): Promise<string[]>;
  /** False where the row is not as expected, or erased. */
  write(id: string, expected: Expectation, change: Change): Promise<boolean>;
  release(token: string): Promise<void>;
  /** Deletes the row that is held under the token. */
  remove(id: string, token: string): Promise<void>;
  counts(): Promise<QueueStatus>;
  /** Deletes at most `limit` ended rows of each kind. */
  eraseEnded(retention: JobRetention & { limit: number }): Promise<number>;
  /** Deletes the rows of a selector; of those that are held only the content, until their worker is done. */
  eraseMatching(selector: JobSelector): Promise<number>;
  ping(): Promise<void>;
}

/** Deaths in a row from which on a job is claimed by itself: it may be the reason. */
export const suspectDeaths = 2;

/** Beyond this number rows are not counted, so that a count never takes long. */
export const countLimit = 100_000;
