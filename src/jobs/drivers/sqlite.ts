import { JobState } from "../../../gen/jackfield/v1/jobs_pb.ts";
import type { SqlValue, Step, StepResult } from "../../store/sqlite-protocol.ts";
import type { SqliteStore } from "../../store/sqlite.ts";
import { recordFromStored, storedFromRecord } from "../job-codec.ts";
import type { StoredJob } from "../job-codec.ts";
import { QueueUnavailable } from "../job-queue.ts";
import type { JobQueue, JobRecord, Work, Working } from "../job-queue.ts";
import { deadLetterFactor, isOver, moved, retried } from "../job-state.ts";
import { createCrew } from "./workers.ts";

const sql = {
  insert: `INSERT INTO jobs (id, tenant, state, open, record, not_before, created_at, changed_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?6) ON CONFLICT (id) DO NOTHING`,
  get: "SELECT record FROM jobs WHERE id = ?",
  update: "UPDATE jobs SET state = ?, open = ?, record = ?, changed_at = ?, not_before = ? WHERE id = ?",
  updateIf:
    "UPDATE jobs SET state = ?, open = ?, record = ?, changed_at = ?, not_before = ? WHERE id = ? AND state = ?",
  list: "SELECT record, seq FROM jobs WHERE tenant = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3",
  listState: "SELECT record, seq FROM jobs WHERE tenant = ?1 AND state = ?4 AND seq < ?2 ORDER BY seq DESC LIMIT ?3",
  due: `SELECT record FROM jobs WHERE open = 1 AND not_before <= ?1 AND id NOT IN (SELECT value FROM json_each(?2))
    ORDER BY not_before, seq LIMIT ?3`,
  next: "SELECT min(not_before) FROM jobs WHERE open = 1 AND not_before > ?",
  status: `SELECT (SELECT count(*) FROM jobs WHERE open = 1), (SELECT count(*) FROM jobs WHERE open = 0 AND state = ${JobState.DEAD}),
    (SELECT min(created_at) FROM jobs WHERE open = 1)`,
  erase: `DELETE FROM jobs WHERE open = 0 AND changed_at <= CASE state WHEN ${JobState.DEAD} THEN ?2 ELSE ?1 END`,
};

/** Longest pause between two looks for work, in milliseconds: what was missed for an outage is found by then. */
const lookMs = 1_000;
/** Pause before a job is taken up again whose work threw, in milliseconds. */
const afterThrowMs = 1_000;

/** The job queue in the embedded store. Jobs are taken in the order in which they are due. Closing leaves the store open. */
export function createSqliteJobQueue(store: SqliteStore): JobQueue {
  const held = new Set<string>();
  const cancelling = new Set<string>();
  const looks = new Set<() => void>();

  async function run(steps: readonly Step[]): Promise<StepResult[]> {
    try {
      return await store.run(steps);
    } catch (cause) {
      throw new QueueUnavailable(cause instanceof Error ? cause.message : String(cause), { cause });
    }
  }

  function changed(record: JobRecord, notBefore: number): SqlValue[] {
    const { id, state } = record.job;
    return [state, isOver(state) ? 0 : 1, JSON.stringify(storedFromRecord(record)), store.now(), notBefore, id];
  }

  async function get(id: string): Promise<JobRecord | undefined> {
    const [found] = await run([{ sql: sql.get, params: [id] }]);
    return records(found)[0];
  }

  function wake(): void {
    for (const look of looks) look();
  }

  /** Stores what became of a job, however long the store is away: until then the job stays with this process. */
  async function settle(record: JobRecord, notBefore: number, signal: AbortSignal): Promise<void> {
    const params = changed(record, notBefore);
    for (;;) {
      try {
        await run([{ sql: sql.update, params }]);
        return;
      } catch {
        if (signal.aborted) return;
        await pause(lookMs, signal);
      }
    }
  }

  async function perform(work: Work, record: JobRecord, signal: AbortSignal): Promise<void> {
    let last = record;
    const save = async (next: JobRecord): Promise<void> => {
      await run([{ sql: sql.update, params: changed(next, store.now()) }]);
      last = next;
    };
    try {
      const worked = await work(record, save, signal);
      await settle(worked.record, worked.kind === "later" ? store.now() + worked.afterMs : store.now(), signal);
    } catch {
      if (!signal.aborted) await settle(last, store.now() + afterThrowMs, signal);
    }
  }

  function work(work: Work, { concurrency }: { concurrency: number }): Working {
    let timer: NodeJS.Timeout | undefined;
    let looking = false;
    let again = false;
    const crew = createCrew(concurrency, () => {
      clearTimeout(timer);
      looks.delete(wakeUp);
    });

    function wakeUp(): void {
      again = true;
      void look();
    }

    async function look(): Promise<void> {
      if (looking) return;
      looking = true;
      clearTimeout(timer);
      let waitMs = lookMs;
      try {
        while (again && crew.free() > 0) {
          again = false;
          waitMs = await take();
        }
      } catch {
        // The store is away: the next look tries again.
      }
      looking = false;
      if (crew.stopped) return;
      timer = setTimeout(wakeUp, waitMs);
    }

    /** Takes what is due; returns when to look again. */
    async function take(): Promise<number> {
      const now = store.now();
      const [due, next] = await run([
        { sql: sql.due, params: [now, JSON.stringify([...held]), crew.free()] },
        { sql: sql.next, params: [now] },
      ]);
      for (const record of records(due)) {
        const { id } = record.job;
        if (crew.free() === 0 || held.has(id) || cancelling.has(id)) continue;
        held.add(id);
        crew.start(
          (signal) => perform(work, record, signal),
          () => {
            held.delete(id);
            wake();
          },
        );
      }
      const nextAt = Array.isArray(next) ? next[0]?.[0] : undefined;
      return typeof nextAt === "number" ? Math.min(lookMs, Math.max(1, nextAt - store.now())) : lookMs;
    }

    looks.add(wakeUp);
    wakeUp();
    return { stop: (signal) => crew.stop(signal) };
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
        wake();
        return { record, existed: false };
      }
      return { record: records(found)[0] ?? record, existed: true };
    },
    get,
    async list({ tenant, state, size, after }) {
      const before = after === "" ? Number.MAX_SAFE_INTEGER : Number(after);
      if (!Number.isSafeInteger(before)) return { records: [], next: "" };
      const params: SqlValue[] = [tenant, before, size + 1];
      const [found] = await run([
        state === JobState.UNSPECIFIED ? { sql: sql.list, params } : { sql: sql.listState, params: [...params, state] },
      ]);
      const rows = Array.isArray(found) ? found : [];
      const page = rows.slice(0, size);
      return { records: records(page), next: rows.length > size ? String(page.at(-1)?.[1] ?? "") : "" };
    },
    async retry(id) {
      const record = await get(id);
      if (record === undefined) return undefined;
      if (record.job.state !== JobState.DEAD || held.has(id)) return false;
      const next = retried(record, Date.now());
      const [count] = await run([{ sql: sql.updateIf, params: [...changed(next, store.now()), JobState.DEAD] }]);
      if (count !== 1) return false;
      wake();
      return next;
    },
    async cancel(id) {
      const record = await get(id);
      if (record === undefined) return undefined;
      if (record.job.state !== JobState.ACCEPTED || held.has(id) || cancelling.has(id)) return false;
      cancelling.add(id);
      try {
        const next = moved(record, JobState.CANCELLED, Date.now());
        const [count] = await run([{ sql: sql.updateIf, params: [...changed(next, store.now()), JobState.ACCEPTED] }]);
        return count === 1 ? next : false;
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
        throw new QueueUnavailable(cause instanceof Error ? cause.message : String(cause), { cause });
      }
    },
    close: async () => {},
  };
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
