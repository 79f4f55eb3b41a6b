import { JobState } from "../../../gen/jackfield/v1/jobs_pb.ts";
import { escapeText, type PostgresStore, unescapeText } from "../../store/postgres.ts";
import type { JobQueue } from "../job-queue.ts";
import { claimedState, isOver } from "../job-state.ts";
import type { JobRow, JobTable } from "../job-table.ts";
import { createJobQueue, defaultLeaseMs, type JobQueueOptions } from "../queue.ts";
import { schema, statements } from "./postgres-schema.ts";

/** A row as PostgreSQL returns it: bigints are text. */
interface Row {
  id: string;
  tenant: string;
  state: JobState;
  record: string;
  token: string;
  held: boolean;
  deaths: number;
  created_at: string;
  changed_at: string;
  seq: string;
}

/** The job queue on a PostgreSQL server, shared by replicas. Closing the queue leaves the store open. */
export function createPostgresJobQueue(store: PostgresStore, options: JobQueueOptions = {}): JobQueue {
  return createJobQueue(() => createTable(store, options.leaseMs ?? defaultLeaseMs), options);
}

function createTable(store: PostgresStore, leaseMs: number): JobTable {
  let migrated: Promise<void> | undefined;

  /**
   * Runs a statement on the table, creating the table first. If that failed, for example while the server was starting,
   * the next statement tries again.
   */
  async function run<R extends object>(statement: string, ...values: unknown[]): Promise<R[]> {
    migrated ??= store.migrate("jobs", schema);
    try {
      await migrated;
    } catch (cause) {
      migrated = undefined;
      throw cause;
    }
    return await store.query<R>(statement, values);
  }

  const get = async (id: string): Promise<JobRow | undefined> => {
    const [row] = await run<Row>(statements.get, escapeText(id));
    return row && rowFrom(row);
  };

  return {
    pollMs: 250,
    leaseMs,
    async insert({ id, tenant, source, conversationId, runId, state, record }, token) {
      const first = token === "" ? state : claimedState(state);
      const values = [
        escapeText(id),
        tenant,
        escapeText(source),
        escapeText(conversationId),
        escapeText(runId),
        first,
        !isOver(state),
        record,
        token,
        leaseMs,
      ];
      // If the row is deleted between the two statements, the next iteration inserts it.
      for (;;) {
        const inserted = await run(statements.insert, ...values);
        if (inserted.length > 0) return undefined;
        const existing = await get(id);
        if (existing !== undefined) return existing;
      }
    },
    get,
    async list({ tenant, state, size, after, bytes }) {
      if (!/^\d{0,18}$/.test(after)) return { rows: [], next: "" };
      const values = [tenant, after === "" ? "9223372036854775807" : after, size + 1, bytes];
      const found = await run<Row & { found: number }>(...listing(state, values));
      const page = found.slice(0, size);
      const more = (found[0]?.found ?? 0) > page.length;
      return { rows: page.map(rowFrom), next: more ? (page.at(-1)?.seq ?? "") : "" };
    },
    async claim({ token, count, expired, suspects }) {
      const rows = await run<Row>(statements.claim, token, count, expired, leaseMs, suspects);
      return rows.toSorted((a, b) => Number(a.seq) - Number(b.seq)).map(rowFrom);
    },
    async extend(leases) {
      const [ids, tokens] = [leases.map(({ id }) => escapeText(id)), leases.map(({ token }) => token)];
      return (await run<{ id: string }>(statements.extend, ids, tokens, leaseMs)).map(({ id }) => unescapeText(id));
    },
    async write(id, { token, held, state }, { state: next, record, next: step, keepDeaths = false }) {
      const pauseMs = step === "hold" ? leaseMs : Math.round(step);
      const change = [next, !isOver(next), step === "hold", pauseMs, record ?? null, keepDeaths];
      return (await run(statements.write, ...change, escapeText(id), token, held, state ?? null)).length > 0;
    },
    async release(token) {
      await run(statements.release, token);
    },
    async remove(id, token) {
      await run(statements.remove, escapeText(id), token);
    },
    async counts() {
      const [row] = await run<{ open: number; dead: number; oldest: string }>(statements.counts);
      return { open: row?.open ?? 0, dead: row?.dead ?? 0, oldestMs: Math.max(0, Number(row?.oldest ?? 0)) };
    },
    async eraseEnded({ olderThanMs, deadOlderThanMs, limit }) {
      const [ended] = await run<{ count: number }>(statements.eraseEnded, olderThanMs, limit);
      const [dead] = await run<{ count: number }>(statements.eraseDead, deadOlderThanMs, limit);
      return (ended?.count ?? 0) + (dead?.count ?? 0);
    },
    async eraseMatching({ tenant, source = "", conversationId = "", runId = "" }) {
      const names = [source, conversationId, runId].map(escapeText);
      const [row] = await run<{ count: number }>(statements.eraseMatching, tenant, ...names);
      return row?.count ?? 0;
    },
    async ping() {
      await run(statements.probe);
    },
  };
}

function listing(state: JobState, values: readonly unknown[]): [statement: string, ...values: unknown[]] {
  if (state === JobState.UNSPECIFIED) return [statements.list, ...values];
  return [state === JobState.DONE ? statements.listDone : statements.listOther, ...values, state];
}

function rowFrom({
  id: escapedId,
  tenant,
  state,
  record,
  token,
  held,
  deaths,
  created_at: created,
  changed_at: changed,
}: Row): JobRow {
  const id = unescapeText(escapedId);
  return { id, tenant, state, record, token, held, deaths, createdAt: Number(created), changedAt: Number(changed) };
}
