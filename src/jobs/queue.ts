import { randomUUID } from "node:crypto";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { plainSealer, type Sealer } from "../store/sealer.ts";
import { createJobCodec, type JobCodec } from "./job-codec.ts";
import { JobQueueUnavailableError, type JobQueue, type JobRecord } from "./job-queue.ts";
import { isOver, moved, retried } from "./job-state.ts";
import type { JobRow, JobTable } from "./job-table.ts";
import type { JobLog } from "./lease.ts";
import { createRecentJobs } from "./recent-jobs.ts";
import { startWorker, type ClaimingWorker } from "./worker.ts";

/** Options of a job queue. */
export interface JobQueueOptions {
  /** Receives lines about lost, unreadable and dead jobs. By default they are dropped. */
  readonly log?: JobLog | undefined;
  /** Lifetime of a lease, in milliseconds. If it is not extended, a shared server gives the job to another worker. */
  readonly leaseMs?: number;
  /** Seals the stored form of jobs. By default it is plain. */
  readonly sealer?: Sealer;
}

/** The default of `leaseMs`. */
export const defaultLeaseMs = 3_000;

/** Maximum total size of the records on a page, in bytes. */
const pageBytes = 1_048_576;
/** Maximum number of rows of each kind that one `erase` deletes. */
const erasePortion = 500;

const silent: JobLog = { warn() {}, error() {} };

/**
 * Creates the job queue of one process on a table. `makeTable` gets the process's name, which is unique for each start.
 */
export function createJobQueue(
  makeTable: (owner: string) => JobTable,
  { log = silent, sealer = plainSealer }: JobQueueOptions = {},
): JobQueue {
  const owner = randomUUID();
  const codec = createJobCodec(sealer);
  const made = makeTable(owner);
  const table = withQueueErrors(made);
  const recent = createRecentJobs(table, log);
  const stopRestoring = made.onReturn?.(() => recent.restore());
  const workers = new Set<ClaimingWorker>();

  const get = async (id: string): Promise<JobRow | undefined> => {
    const row = await table.get(id);
    return row === undefined || row.record === "" ? undefined : row;
  };

  /** Changes a job that nobody holds, in one conditional write that fails if the job has changed since it was read. */
  async function amend(
    id: string,
    from: JobState,
    change: (record: JobRecord) => JobRecord,
  ): Promise<JobRecord | false | undefined> {
    const row = await get(id);
    if (row === undefined) return undefined;
    if (row.state !== from || row.held) return false;
    const { record, readable } = codec.read(row);
    const next = change(record);
    const { state } = next.job;
    const whole = { state, next: 0, record: readable ? codec.text(next) : undefined };
    if (!(await table.write(id, { token: row.token, held: false, state: from }, whole))) return false;
    if (!isOver(state)) for (const worker of workers) worker.wake();
    return next;
  }

  return {
    async enqueue(record) {
      const job = codec.newJob(record);
      for (const worker of workers) {
        const inserted = worker.insert(job, record);
        if (inserted !== undefined) return answerFrom(await inserted, record, codec);
      }
      const existing = await table.insert(job, "");
      if (existing === undefined) {
        recent.remember(job);
        for (const worker of workers) worker.wake();
      }
      return answerFrom(existing, record, codec);
    },
    async get(id) {
      const row = await get(id);
      return row === undefined ? undefined : codec.read(row).record;
    },
    async list(page) {
      const { rows, next } = await table.list({ ...page, bytes: pageBytes });
      return { records: rows.map((row) => codec.read(row).record), next };
    },
    retry: (id) => amend(id, JobState.DEAD, retried),
    cancel: (id) => amend(id, JobState.ACCEPTED, (record) => moved(record, JobState.CANCELLED)),
    work(work, { concurrency }) {
      const onStop = (worker: ClaimingWorker): void => void workers.delete(worker);
      const worker = startWorker({ table, owner, codec, recent, work, concurrency, log, onStop });
      workers.add(worker);
      return worker;
    },
    status: () => table.counts(),
    async erase(which) {
      if ("olderThanMs" in which) return await table.eraseEnded({ ...which, limit: erasePortion });
      const erased = await table.eraseMatching(which);
      for (const worker of workers) await worker.verify();
      return erased;
    },
    async ping() {
      await table.ping();
      for (const worker of workers) {
        const problem = worker.problem();
        if (problem !== undefined) throw new JobQueueUnavailableError(problem);
      }
    },
    async close() {
      stopRestoring?.();
      for (const worker of workers) await worker.stop(AbortSignal.abort());
    },
  };
}

function answerFrom(
  existing: JobRow | undefined,
  record: JobRecord,
  codec: JobCodec,
): { record: JobRecord; existed: boolean } {
  if (existing === undefined) return { record, existed: false };
  if (existing.record === "")
    throw new JobQueueUnavailableError("the job was erased, and its worker has not let go of it yet");
  return { record: codec.read(existing).record, existed: true };
}

/** Wraps a table so that every rejection is a JobQueueUnavailableError. */
function withQueueErrors(table: JobTable): JobTable {
  const wrap =
    <A extends unknown[], R>(method: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      try {
        return await method.apply(table, args);
      } catch (cause) {
        throw new JobQueueUnavailableError(cause instanceof Error ? cause.message : String(cause), { cause });
      }
    };
  const { pollMs, leaseMs, insert, restore, get, list, claim, extend, write, release, remove } = table;
  const { counts, eraseEnded, eraseMatching, ping } = table;
  return {
    pollMs,
    leaseMs,
    insert: wrap(insert),
    ...(restore !== undefined && { restore: wrap(restore) }),
    get: wrap(get),
    list: wrap(list),
    claim: wrap(claim),
    extend: wrap(extend),
    write: wrap(write),
    release: wrap(release),
    remove: wrap(remove),
    counts: wrap(counts),
    eraseEnded: wrap(eraseEnded),
    eraseMatching: wrap(eraseMatching),
    ping: wrap(ping),
  };
}
