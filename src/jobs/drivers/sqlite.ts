import { JobState } from "../../../gen/jackfield/v1/jobs_pb.ts";
import type { SqlValue, Step, StepResult } from "../../store/sqlite-protocol.ts";
import type { SqliteStore } from "../../store/sqlite.ts";
import type { JobQueue } from "../job-queue.ts";
import { claimedState, isOver } from "../job-state.ts";
import { countLimit, suspectDeaths, type JobRow, type JobTable } from "../job-table.ts";
import { createJobQueue, type JobQueueOptions } from "../queue.ts";

const columns = "id, tenant, state, record, token, held, deaths, created_at, changed_at, seq";

/**
 * Selects the first rows of a page whose records total at most ?4 bytes, but at least one row. ?3 is the page size plus
 * one.
 */
function listing(from: string): string {
  return `WITH page AS (SELECT seq AS at, octet_length(record) AS bytes FROM jobs ${from}
      AND record <> '' AND seq < ?2 ORDER BY seq DESC LIMIT ?3),
    sized AS (SELECT at, bytes, sum(bytes) OVER (ORDER BY at DESC) AS total FROM page)
    SELECT ${columns}, (SELECT count(*) FROM page) FROM jobs JOIN sized ON seq = at WHERE total = bytes OR total <= ?4 ORDER BY seq DESC`;
}

const sql = {
  insert: `INSERT INTO jobs (id, tenant, source, conversation, run, state, open, record, token, held, not_before, created_at,
      changed_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9 <> '', ?10, ?10, ?10) ON CONFLICT (id) DO NOTHING`,
  get: `SELECT ${columns} FROM jobs WHERE id = ?`,
  list: listing("WHERE tenant = ?1"),
  // Most jobs are DONE, so a page of them fills quickly. The other states are rare: these statements name the index to
  // use.
  listDone: listing(`INDEXED BY jobs_tenant WHERE tenant = ?1 AND state = ?5`),
  listFailed: listing(`INDEXED BY jobs_failed
    WHERE open = 0 AND state <> ${JobState.DONE} AND tenant = ?1 AND state = ?5`),
  listOpen: listing("INDEXED BY jobs_open WHERE open = 1 AND tenant = ?1 AND state = ?5"),
  recover:
    "UPDATE jobs SET held = 0, deaths = deaths + 1 WHERE open = 1 AND held = 1 AND substr(token, 1, length(?1)) <> ?1",
  claim: `UPDATE jobs SET token = ?1, held = 1, changed_at = ?2,
      state = CASE state WHEN ${JobState.ACCEPTED} THEN ${JobState.EXECUTING} ELSE state END
    WHERE seq IN (SELECT seq FROM jobs WHERE open = 1 AND held = 0 AND not_before <= ?2
      AND (deaths >= ${suspectDeaths}) = ?4 ORDER BY not_before, seq LIMIT ?3)
    RETURNING ${columns}`,
  write: `UPDATE jobs SET state = ?1, open = ?2, held = ?3, not_before = ?4, changed_at = ?5, record = coalesce(?6, record),
      deaths = CASE WHEN ?7 THEN deaths ELSE 0 END
    WHERE id = ?8 AND token = ?9 AND held = ?10 AND state = coalesce(?11, state) AND record <> ''`,
  release: "UPDATE jobs SET held = 0 WHERE open = 1 AND held = 1 AND token = ?",
  remove: "DELETE FROM jobs WHERE id = ? AND token = ?",
  counts: `SELECT (SELECT count(*) FROM (SELECT 1 FROM jobs WHERE open = 1 LIMIT ${countLimit})),
    (SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_dead WHERE state = ${JobState.DEAD} LIMIT ${countLimit})),
    (SELECT min(created_at) FROM (SELECT created_at FROM jobs WHERE open = 1 ORDER BY not_before, seq LIMIT 1000))`,
  eraseEnded: `DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs INDEXED BY jobs_ended
    WHERE open = 0 AND state <> ${JobState.DEAD} AND changed_at > ?1 AND changed_at <= ?2 LIMIT ?3)`,
  eraseDead: `DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs INDEXED BY jobs_dead
    WHERE state = ${JobState.DEAD} AND changed_at > ?1 AND changed_at <= ?2 LIMIT ?3)`,
  eraseHeld: matching("UPDATE jobs SET record = '' WHERE held = 1 AND record <> ''"),
  eraseMatching: matching("DELETE FROM jobs WHERE held = 0"),
};

/** Selects rows by the index of conversations, or of runs if no conversation is given. */
function matching(statement: string): { conversation: string; run: string } {
  const rest = "(?2 = '' OR source = ?2)";
  return {
    conversation: `${statement} AND tenant = ?1 AND ${rest} AND conversation = ?3 AND conversation <> ''
      AND (?4 = '' OR run = ?4)`,
    run: `${statement} AND tenant = ?1 AND ${rest} AND ?3 = '' AND run = ?4 AND run <> ''`,
  };
}

/**
 * The job queue in the embedded store. One process owns the file, so a job held by another process was held by one that
 * has died. Closing the queue leaves the store open.
 */
export function createSqliteJobQueue(store: SqliteStore, options: JobQueueOptions = {}): JobQueue {
  return createJobQueue((owner) => createTable(store, owner), options);
}

function createTable(store: SqliteStore, owner: string): JobTable {
  let recovered = false;

  async function one(text: string, params: readonly SqlValue[]): Promise<StepResult> {
    const [result] = await store.run([{ sql: text, params }]);
    return result ?? 0;
  }

  return {
    // Only this process makes jobs due, and it then claims them at once. The poll catches what an outage made it miss.
    pollMs: 1_000,
    leaseMs: Number.POSITIVE_INFINITY,
    async insert({ id, tenant, source, conversationId, runId, state, record }, token) {
      const first = token === "" ? state : claimedState(state);
      const open = isOver(state) ? 0 : 1;
      const params = [id, tenant, source, conversationId, runId, first, open, record, token, store.now()];
      const results = await store.run([
        { sql: sql.insert, params, stop: true },
        { sql: sql.get, params: [id] },
      ]);
      return rowsFrom(results[1])[0];
    },
    get: async (id) => rowsFrom(await one(sql.get, [id]))[0],
    async list({ tenant, state, size, after, bytes }) {
      const before = after === "" ? Number.MAX_SAFE_INTEGER : Number(after);
      if (!Number.isSafeInteger(before)) return { rows: [], next: "" };
      const params: SqlValue[] = [tenant, before, size + 1, bytes];
      const found =
        state === JobState.UNSPECIFIED ? await one(sql.list, params) : await one(listOf(state), [...params, state]);
      const values = Array.isArray(found) ? found : [];
      const page = values.slice(0, size);
      const more = Number(values[0]?.[10] ?? 0) > page.length;
      return { rows: rowsFrom(page), next: more ? String(page.at(-1)?.[9] ?? "") : "" };
    },
    async claim({ token, count, suspects }) {
      const steps: Step[] = [{ sql: sql.claim, params: [token, store.now(), count, suspects ? 1 : 0] }];
      if (!recovered) steps.unshift({ sql: sql.recover, params: [`${owner}.`] });
      const results = await store.run(steps);
      recovered = true;
      const claimed = results.at(-1);
      // SQLite returns changed rows in undefined order.
      return rowsFrom(Array.isArray(claimed) ? claimed.toSorted((a, b) => Number(a[9]) - Number(b[9])) : []);
    },
    extend: async (leases) => leases.map(({ id }) => id),
    async write(id, { token, held, state }, { state: next, record, next: step, keepDeaths = false }) {
      const now = store.now();
      const hold = step === "hold" ? 1 : 0;
      const due = step === "hold" ? now : now + Math.round(step);
      const change = [next, isOver(next) ? 0 : 1, hold, due, now, record ?? null, keepDeaths ? 1 : 0];
      return (await one(sql.write, [...change, id, token, held ? 1 : 0, state ?? null])) === 1;
    },
    async release(token) {
      await one(sql.release, [token]);
    },
    async remove(id, token) {
      await one(sql.remove, [id, token]);
    },
    async counts() {
      const found = await one(sql.counts, []);
      const [open, dead, oldest] = Array.isArray(found) ? (found[0] ?? []) : [];
      const oldestMs = typeof oldest === "number" ? Math.max(0, store.now() - oldest) : 0;
      return { open: Number(open ?? 0), dead: Number(dead ?? 0), oldestMs };
    },
    async eraseEnded({ olderThanMs, deadOlderThanMs, limit }) {
      let erased = 0;
      for (const { from, to } of store.aged(olderThanMs))
        erased += Number(await one(sql.eraseEnded, [from, to, limit]));
      for (const { from, to } of store.aged(deadOlderThanMs))
        erased += Number(await one(sql.eraseDead, [from, to, limit]));
      return erased;
    },
    async eraseMatching({ tenant, source = "", conversationId = "", runId = "" }) {
      const index = conversationId === "" ? "run" : "conversation";
      const params = [tenant, source, conversationId, runId];
      const results = await store.run([
        { sql: sql.eraseHeld[index], params },
        { sql: sql.eraseMatching[index], params },
      ]);
      return Number(results[0]) + Number(results[1]);
    },
    ping: () => store.ping(),
  };
}

function listOf(state: JobState): string {
  if (state === JobState.DONE) return sql.listDone;
  return isOver(state) ? sql.listFailed : sql.listOpen;
}

function rowsFrom(found: StepResult | undefined): JobRow[] {
  if (!Array.isArray(found)) return [];
  return found.map(([id, tenant, state, record, token, held, deaths, createdAt, changedAt]) => ({
    id: String(id),
    tenant: String(tenant),
    state: Number(state) as JobState,
    record: String(record),
    token: String(token),
    held: held === 1,
    deaths: Number(deaths),
    createdAt: Number(createdAt),
    changedAt: Number(changedAt),
  }));
}
