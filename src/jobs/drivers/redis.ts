import type { JobState } from "../../../gen/jackfield/v1/jobs_pb.ts";
import type { RedisArgument, RedisScript, RedisStore } from "../../store/redis.ts";
import type { JobQueue } from "../job-queue.ts";
import type { JobRow, JobTable } from "../job-table.ts";
import { createJobQueue, defaultLeaseMs, type JobQueueOptions } from "../queue.ts";
import * as scripts from "./redis-scripts.ts";

/** The job queue on a Redis server, shared by replicas. Closing the queue leaves the store open. */
export function createRedisJobQueue(store: RedisStore, options: JobQueueOptions & { prefix?: string } = {}): JobQueue {
  const { prefix = "jackfield", leaseMs = defaultLeaseMs } = options;
  return createJobQueue(() => createTable(store, `${prefix}:jobs:`, leaseMs), options);
}

function createTable(store: RedisStore, prefix: string, leaseMs: number): JobTable {
  const run = (script: RedisScript, ...args: RedisArgument[]): Promise<unknown> =>
    store.script(script, [], [prefix, ...args]);

  return {
    pollMs: 250,
    leaseMs,
    async insert({ id, tenant, source, conversationId, runId, state, record }, token) {
      return oneFrom(
        await run(scripts.insert, id, tenant, source, conversationId, runId, state, record, token, leaseMs),
      );
    },
    async restore({ id, tenant, source, conversationId, runId, state, record }, token) {
      return (
        (await run(scripts.restore, id, tenant, source, conversationId, runId, state, record, token, leaseMs)) === null
      );
    },
    onReturn: (listener) => store.onReturn(listener),
    get: async (id) => oneFrom(await run(scripts.get, id)),
    async list({ tenant, state, size, after, bytes }) {
      if (!/^\d{0,15}$/.test(after)) return { rows: [], next: "" };
      const [next, ...rows] = (await run(scripts.list, tenant, state, after, size, bytes)) as [unknown, ...unknown[][]];
      return { rows: rows.map(rowFrom), next: String(next) };
    },
    async claim({ token, count, expired, suspects }) {
      const claimed = await run(scripts.claim, token, count, expired ? 1 : 0, leaseMs, suspects ? 1 : 0);
      return (claimed as unknown[][]).map(rowFrom);
    },
    async extend(leases) {
      const pairs = leases.flatMap(({ id, token }) => [id, token]);
      return ((await run(scripts.extend, leaseMs, ...pairs)) as unknown[]).map(String);
    },
    async write(id, { token, held, state }, { state: next, record, next: step, keepDeaths = false }) {
      const hold = step === "hold";
      const pauseMs = hold ? leaseMs : Math.round(step);
      const expected = [token, held ? 1 : 0, state ?? ""];
      const change = [next, hold ? 1 : 0, pauseMs, keepDeaths ? 1 : 0, ...(record === undefined ? [] : [record])];
      return (await run(scripts.write, id, ...expected, ...change)) === 1;
    },
    async release(token) {
      await run(scripts.release, token);
    },
    async remove(id, token) {
      await run(scripts.remove, id, token);
    },
    async counts() {
      const [open, dead, oldestMs] = (await run(scripts.counts)) as [number, number, number];
      return { open, dead, oldestMs: Math.max(0, oldestMs) };
    },
    eraseEnded: async ({ olderThanMs, deadOlderThanMs, limit }) =>
      Number(await run(scripts.eraseEnded, olderThanMs, deadOlderThanMs, limit)),
    eraseMatching: async ({ tenant, source = "", conversationId = "", runId = "" }) =>
      Number(await run(scripts.eraseMatching, tenant, source, conversationId, runId)),
    async ping() {
      // A write, which detects a server that is full or read-only.
      await store.request((client) => client.set(`${prefix}probe`, "1"));
    },
  };
}

/** The row that a script found, if it found one. */
function oneFrom(found: unknown): JobRow | undefined {
  return Array.isArray(found) ? rowFrom(found) : undefined;
}

/** A row as the scripts answer it. */
type RowTexts = [
  id: string,
  tenant: string,
  state: string,
  record: string,
  token: string,
  held: string,
  deaths: string,
  createdAt: string,
  changedAt: string,
];

function rowFrom(found: readonly unknown[]): JobRow {
  const texts = found.map(String) as RowTexts;
  const [id, tenant, state, record, token, held, deaths, createdAt, changedAt] = texts;
  return {
    id,
    tenant,
    state: Number(state) as JobState,
    record,
    token,
    held: held === "1",
    deaths: Number(deaths),
    createdAt: Number(createdAt),
    changedAt: Number(changedAt),
  };
}
