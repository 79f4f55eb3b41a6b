import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createPostgresJobQueue } from "../../src/jobs/drivers/postgres.ts";
import { createRedisJobQueue } from "../../src/jobs/drivers/redis.ts";
import { createSqliteJobQueue } from "../../src/jobs/drivers/sqlite.ts";
import type { JobQueue } from "../../src/jobs/job-queue.ts";
import type { JobQueueOptions } from "../../src/jobs/queue.ts";
import { createPostgresLedger } from "../../src/ledger/drivers/postgres.ts";
import { createRedisLedger } from "../../src/ledger/drivers/redis.ts";
import { createSqliteLedger } from "../../src/ledger/drivers/sqlite.ts";
import type { Ledger } from "../../src/ledger/ledger.ts";
import type { ResilientLedgerOptions } from "../../src/ledger/resilient-ledger.ts";
import { createPostgresRegisteredTools } from "../../src/remote-tools/drivers/postgres.ts";
import { createRedisRegisteredTools } from "../../src/remote-tools/drivers/redis.ts";
import { createSqliteRegisteredTools } from "../../src/remote-tools/drivers/sqlite.ts";
import type { RegisteredTools } from "../../src/remote-tools/registered-tools.ts";
import { openPostgresStore } from "../../src/store/postgres.ts";
import { openRedisStore } from "../../src/store/redis.ts";
import type { SqlValue } from "../../src/store/sqlite-protocol.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { postgresMissing, startPostgres } from "./postgres-server.ts";
import { redisMissing, startRedis } from "./redis-server.ts";
import { scratchFolder } from "./scratch-folder.ts";

const day = 86_400_000;

/** A real store whose content the test can read and change. */
export interface SealedStage {
  ledger(options: ResilientLedgerOptions): Ledger;
  queue(options: JobQueueOptions): JobQueue;
  registered(): RegisteredTools;
  /** Returns everything that is stored, as one text of bytes. */
  dump(): Promise<string>;
  /** Exchanges the answers of two calls, by their keys. */
  swapAnswers(one: string, other: string): Promise<void>;
  /** Exchanges the stored contents of two jobs. */
  swapJobs(one: string, other: string): Promise<void>;
  close(): Promise<void>;
}

/** The three stores. `missing`: the reason why one cannot be tested here. */
export const sealedStages: Readonly<
  Record<string, { readonly missing: string | undefined; open(): Promise<SealedStage> }>
> = {
  SQLite: { missing: undefined, open: openSqlite },
  Redis: { missing: redisMissing(), open: openRedis },
  PostgreSQL: { missing: postgresMissing(), open: openPostgres },
};

async function openSqlite(): Promise<SealedStage> {
  const folder = scratchFolder();
  const store = await openSqliteStore({ folder: folder.path });
  const swap = async (table: string, column: string, by: string, one: string, other: string): Promise<void> => {
    const select = { sql: `SELECT ${by}, ${column} FROM ${table} WHERE ${by} IN (?, ?)`, params: [one, other] };
    const [rows] = (await store.run([select])) as SqlValue[][][];
    const [[a, first], [b, second]] = rows as [SqlValue[], SqlValue[]];
    const sql = `UPDATE ${table} SET ${column} = ? WHERE ${by} = ?`;
    await store.run([
      { sql, params: [second ?? null, a ?? null] },
      { sql, params: [first ?? null, b ?? null] },
    ]);
  };
  return {
    ledger: (options) => createSqliteLedger(store, options),
    queue: (options) => createSqliteJobQueue(store, options),
    registered: () => createSqliteRegisteredTools(store),
    async dump() {
      const files = readdirSync(folder.path, { withFileTypes: true }).filter((file) => file.isFile());
      return files.map(({ name }) => readFileSync(join(folder.path, name), "latin1")).join("\n");
    },
    swapAnswers: (one, other) => swap("entries", "result", "key", one, other),
    swapJobs: (one, other) => swap("jobs", "record", "id", one, other),
    async close() {
      await store.close();
      folder[Symbol.dispose]();
    },
  };
}

async function openRedis(): Promise<SealedStage> {
  const server = await startRedis();
  const store = await openRedisStore({ url: server.url });
  const { client } = store;
  const swap = async (one: string, other: string, field: string): Promise<void> => {
    const [a, b] = [await client.hgetBuffer(one, field), await client.hgetBuffer(other, field)];
    await client.hset(one, field, b ?? "");
    await client.hset(other, field, a ?? "");
  };
  return {
    ledger: (options) => createRedisLedger(store, { ...options, windowMs: day, uncertainMs: 7 * day }),
    queue: (options) => createRedisJobQueue(store, options),
    registered: () => createRedisRegisteredTools(store),
    async dump() {
      const parts: string[] = [];
      for (const key of await client.keys("*")) {
        parts.push(key);
        if ((await client.type(key)) !== "hash") continue;
        for (const part of Object.values(await client.hgetallBuffer(key))) parts.push(part.toString("latin1"));
      }
      return parts.join("\n");
    },
    swapAnswers: (one, other) => swap(`jackfield:ledger:e:${one}`, `jackfield:ledger:e:${other}`, "r"),
    swapJobs: (one, other) => swap(`jackfield:jobs:j:${one}`, `jackfield:jobs:j:${other}`, "d"),
    async close() {
      await store.close();
      await server.close();
    },
  };
}

async function openPostgres(): Promise<SealedStage> {
  const server = await startPostgres();
  const store = await openPostgresStore({ url: server.url });
  const swap = async (table: string, column: string, by: string, one: string, other: string): Promise<void> => {
    const of = (key: string): string => `(SELECT ${column} FROM jackfield.${table} WHERE ${by} = ${key})`;
    const sql = `UPDATE jackfield.${table} SET ${column} = CASE ${by} WHEN $1 THEN ${of("$2")} ELSE ${of("$1")} END
      WHERE ${by} IN ($1, $2)`;
    await store.query(sql, [one, other]);
  };
  return {
    ledger: (options) => createPostgresLedger(store, options),
    queue: (options) => createPostgresJobQueue(store, options),
    registered: () => createPostgresRegisteredTools(store),
    async dump() {
      const parts: string[] = [];
      const tables = await store.query<{ table_name: string }>(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'jackfield'",
        [],
      );
      for (const { table_name: table } of tables) {
        for (const row of await store.query<Record<string, unknown>>(`SELECT * FROM jackfield.${table}`, []))
          parts.push(
            ...Object.values(row).map((part) => (Buffer.isBuffer(part) ? part.toString("latin1") : String(part))),
          );
      }
      return parts.join("\n");
    },
    swapAnswers: (one, other) => swap("entries", "result", "key", one, other),
    swapJobs: (one, other) => swap("jobs", "record", "id", one, other),
    async close() {
      await store.close();
      await server.close();
    },
  };
}

/** Reports whether a dump contains an ASCII text: as it is, in hex, or anywhere in base64. */
export function holds(dump: string, text: string): boolean {
  const inBase64 = [0, 1, 2].map((offset) => {
    const whole = Buffer.concat([Buffer.alloc(offset), Buffer.from(text)]).toString("base64");
    // The characters at both ends depend on their neighbours.
    return whole.slice(offset === 0 ? 0 : offset + 1).replace(/.?=+$/, "");
  });
  return [text, Buffer.from(text).toString("hex"), ...inBase64].some((form) => dump.includes(form));
}
