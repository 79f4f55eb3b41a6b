import { JobState } from "../../../gen/jackfield/v1/jobs_pb.ts";
import type { SqlValue, Step, StepResult } from "../../store/sqlite-protocol.ts";
import type { SqliteStore } from "../../store/sqlite.ts";
import { recordFromStored, storedFromRecord } from "../job-codec.ts";
import type { StoredJob } from "../job-codec.ts";
import { JobQueueUnavailableError } from "../job-queue.ts";
import type { JobQueue, JobRecord, Work, JobWorker } from "../job-queue.ts";
import { deadLetterFactor, isOver, moved, retried } from "../job-state.ts";
import { DueJobs, type Found } from "./due-jobs.ts";
import { createWorkerPool } from "./worker-pool.ts";

const sql = {
  insert: `INSERT INTO jobs (id, tenant, state, open, record, not_before, created_at, changed_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?6) ON CONFLICT (id) DO NOTHING`,
  get: "SELECT record FROM jobs WHERE id = ?",
  save: "UPDATE jobs SET state = ?1, record = ?2, changed_at = ?3 WHERE id = ?4",
  end: "UPDATE jobs SET state = ?1, record = ?2, changed_at = ?3, open = 0 WHERE id = ?4",
  later: "UPDATE jobs SET state = ?1, record = ?2, changed_at = ?3, not_before = ?5 WHERE id = ?4",
  retry: `UPDATE jobs SET state = ?1, record = ?2, changed_at = ?3, not_before = ?3, open = 1
    WHERE id = ?4 AND state = ${JobState.DEAD}`,
  cancel: `UPDATE jobs SET state = ?1, record = ?2, changed_at = ?3, open = 0 WHERE id = ?4 AND state = ${JobState.ACCEPTED}`,
  list: "SELECT record, seq FROM jobs WHERE tenant = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3",
  // Most jobs are DONE, so that a page of them is soon full. The others are few: their indexes are named in these words.
  listDone: `SELECT record, seq FROM jobs INDEXED BY jobs_tenant
    WHERE tenant = ?1 AND state = ?4 AND seq < ?2 ORDER BY seq DESC LIMIT ?3`,
  listFailed: `SELECT record, seq FROM jobs INDEXED BY jobs_failed
    WHERE open = 0 AND state <> ${JobState.DONE} AND tenant = ?1 AND state = ?4 AND seq < ?2 ORDER BY seq DESC LIMIT ?3`,
  listOpen: `SELECT record, seq FROM jobs INDEXED BY jobs_open
    WHERE open = 1 AND tenant = ?1 AND state = ?4 AND seq < ?2 ORDER BY seq DESC LIMIT ?3`,
  due: `SELECT record FROM jobs WHERE open = 1 AND not_before <= ?1 AND id NOT IN (SELECT value FROM json_each(?2))
    ORDER BY not_before, seq LIMIT ?3`,
  next: "SELECT min(not_before) FROM jobs WHERE open = 1 AND not_before > ?",
  status: `SELECT (SELECT count(*) FROM jobs WHERE open = 1),
    (SELECT count(*) FROM jobs INDEXED BY jobs_failed
      WHERE open = 0 AND state <> ${JobState.DONE} AND state = ${JobState.DEAD}),
    (SELECT min(created_at) FROM jobs WHERE open = 1)`,
  erase: `DELETE FROM jobs WHERE open = 0 AND changed_at <= ?1 AND (state <> ${JobState.DEAD} OR changed_at <= ?2)`,
};

/** Pause before what became of a job is stored again, in milliseconds, while the store is away. */
const storeAgainMs = 1_000;
/** Pause before a job is taken up again whose work threw, in milliseconds. */
const afterThrowMs = 1_000;

/**
 * The job queue in the embedded store. Jobs are taken in the order in which they are due. Closing leaves the store open.
 * That a job is being executed is kept in memory, for there is no other process to tell: after a crash it is one that waits.
 */
export function createSqliteJobQueue(store: SqliteStore): JobQueue {
  const held = new Set<string>();
  const executing = new Map<string, JobRecord>();
  const cancelling = new Set<string>();
  const crews = new Set<() => void>();
  const due = new DueJobs(readDue, (id) => held.has(id), wake);

  async function run(steps: readonly Step[]): Promise<StepResult[]> {
    try {
      return await store.run(steps);
    } catch (cause) {
      throw new JobQueueUnavailableError(cause instanceof Error ? cause.message : String(cause), { cause });
    }
  }

  function changed(record: JobRecord): SqlValue[] {
    return [record.job.state, JSON.stringify(storedFromRecord(record)), store.now(), record.job.id];
  }

  async function get(id: string): Promise<JobRecord | undefined> {
    const [found] = await run([{ sql: sql.get, params: [id] }]);
    return executing.get(id) ?? records(found)[0];
  }

  function wake(): void {
    for (const look of crews) look();
  }

  async function readDue(most: number): Promise<Found> {
    const now = store.now();
    const [found, next] = await run([
      { sql: sql.due, params: [now, JSON.stringify([...held, ...cancelling]), most] },
      { sql: sql.next, params: [now] },
    ]);
    const nextAt = Array.isArray(next) ? next[0]?.[0] : undefined;
    return { records: records(found), nextInMs: typeof nextAt === "number" ? nextAt - store.now() : undefined };
  }

  /** Stores what became of a job, however long the store is away: until then the job stays with this process. */
  async function settle(record: JobRecord, afterMs: number, signal: AbortSignal): Promise<void> {
    const over = isOver(record.job.state);
    const step = over
      ? { sql: sql.end, params: changed(record) }
      : { sql: sql.later, params: [...changed(record), store.now() + afterMs] };
    for (;;) {
      try {
        await run([step]);
        if (!over) due.lookIn(afterMs);
        return;
      } catch {
        if (signal.aborted) return;
        await pause(storeAgainMs, signal);
      }
    }
  }

  async function perform(work: Work, record: JobRecord, signal: AbortSignal): Promise<void> {
    let last = record;
    const save = async (next: JobRecord): Promise<void> => {
      const { id, state } = next.job;
      if (state === JobState.EXECUTING) {
        executing.set(id, next);
      } else {
        await run([{ sql: sql.save, params: changed(next) }]);
        executing.delete(id);
      }
      last = next;
    };
    try {
      const worked = await work(record, save, signal);
      await settle(worked.record, worked.kind === "later" ? worked.afterMs : 0, signal);
    } catch {
      if (!signal.aborted) await settle(last, afterThrowMs, signal);
    }
  }

  function work(work: Work, { concurrency }: { concurrency: number }): JobWorker {
    const crew = createWorkerPool(concurrency, () => {
      crews.delete(look);
      if (crews.size === 0) due.stop();
    });

    function look(): void {
      while (crew.free() > 0) {
        const record = due.take();
        if (record === undefined) return;
        const { id } = record.job;
        held.add(id);
        crew.start(
          (signal) => perform(work, record, signal),
          () => {
            held.delete(id);
            executing.delete(id);
            wake();
          },
        );
      }
    }

    crews.add(look);
    look();
    return { stop: (signal) => crew.stop(signal) };
  }

  function offer(record: JobRecord): void {
    if (crews.size === 0) return;
    due.offer(record);
    wake();
  }

  return {
    async enqueue(record) {
      const { id, state } = record.job;
      const text = JSON.stringify(storedFromRecord(record));
      const [inserted, found] = await run([
        { sql: sql.insert, params: [id, record.tenant, state, isOver(state) ? 0 : 1, text, store.now()], stop: true },
        { sql: sql.get, params: [id] },
      ]);
      if (inserted === 1) {
        offer(record);
        return { record, existed: false };
      }
      return { record: executing.get(id) ?? records(found)[0] ?? record, existed: true };
    },
    get,
    async list({ tenant, state, size, after }) {
      const before = after === "" ? Number.MAX_SAFE_INTEGER : Number(after);
      if (!Number.isSafeInteger(before)) return { records: [], next: "" };
      const params: SqlValue[] = [tenant, before, size + 1];
      const noted = [...executing.values()].map((record) => ({ sql: sql.save, params: changed(record) }));
      const found = (await run([...noted, listing(state, params)])).at(-1);
      const rows = Array.isArray(found) ? found : [];
      const page = rows.slice(0, size);
      return { records: records(page), next: rows.length > size ? String(page.at(-1)?.[1] ?? "") : "" };
    },
    async retry(id) {
      const record = await get(id);
      if (record === undefined) return undefined;
      if (record.job.state !== JobState.DEAD || held.has(id)) return false;
      const next = retried(record, Date.now());
      const [count] = await run([{ sql: sql.retry, params: changed(next) }]);
      if (count !== 1) return false;
      offer(next);
      return next;
    },
    async cancel(id) {
      const record = await get(id);
      if (record === undefined) return undefined;
      if (record.job.state !== JobState.ACCEPTED || held.has(id) || cancelling.has(id)) return false;
      cancelling.add(id);
      due.drop(id);
      try {
        const next = moved(record, JobState.CANCELLED, Date.now());
        const [count] = await run([{ sql: sql.cancel, params: changed(next) }]);
        if (count === 1) return next;
        due.lookIn(0);
        return false;
      } catch (cause) {
        due.lookIn(0);
        throw cause;
      } finally {
        cancelling.delete(id);
      }
    },
    work,
    async status() {
      const [found] = await run([{ sql: sql.status }]);
      const [open, dead, oldest] = Array.isArray(found) ? (found[0] ?? []) : [];
      return {
        open: Number(open ?? 0),
        dead: Number(dead ?? 0),
        oldestMs: typeof oldest === "number" ? Math.max(0, store.now() - oldest) : 0,
      };
    },
    async erase({ olderThanMs }) {
      const now = store.now();
      const [count] = await run([
        { sql: sql.erase, params: [now - olderThanMs, now - olderThanMs * deadLetterFactor] },
      ]);
      return Number(count);
    },
    async ping() {
      try {
        await store.ping();
      } catch (cause) {
        throw new JobQueueUnavailableError(cause instanceof Error ? cause.message : String(cause), { cause });
      }
    },
    close: async () => {},
  };
}

function listing(state: JobState, params: SqlValue[]): Step {
  if (state === JobState.UNSPECIFIED) return { sql: sql.list, params };
  const text = state === JobState.DONE ? sql.listDone : isOver(state) ? sql.listFailed : sql.listOpen;
  return { sql: text, params: [...params, state] };
}

function records(found: unknown): JobRecord[] {
  if (!Array.isArray(found)) return [];
  return (found as SqlValue[][]).map(([text]) => recordFromStored(JSON.parse(String(text)) as StoredJob));
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end, { once: true });
  });
}
