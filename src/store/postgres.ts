import { hash } from "node:crypto";
import { Client, Pool } from "pg";
import type { ClientConfig, QueryResultRow } from "pg";
import { type PeerTls, withoutTls } from "../config/peer-tls.ts";
import { errorMessage } from "../errors.ts";
import { tlsProblem } from "../config/tls-problem.ts";
import { createStoreCircuit } from "./store-circuit.ts";

/** A PostgreSQL server. A request that gets no answer in time fails, and so do all that follow until the server answers. */
export interface PostgresStore {
  readonly url: string;
  /** Runs one statement. Rejects with a StoreUnavailableError. */
  query<Row extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /**
   * Applies the script of a part unless it was applied last. Replicas that start together wait for each other. May take
   * minutes on large tables. Rejects with a StoreUnavailableError.
   */
  migrate(part: string, script: string): Promise<void>;
  /** Why the server cannot be used, for the operator; undefined while it can. */
  problem(): string | undefined;
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** How long a statement may wait for its answer, in milliseconds: an outage must be reported within 2 s. */
export const statementTimeoutMs = 1_500;

/** How long the server may work on a statement, in milliseconds: it stops before its caller gives up. */
const serverTimeoutMs = 1_400;

/** How long a statement may wait for a lock on the server, in milliseconds: less than its caller waits. */
const lockTimeoutMs = 1_000;

/** How long a migration may take, in milliseconds. */
const migrationTimeoutMs = 600_000;

/** Idle time after which the operating system asks whether a connection is still there, in milliseconds. */
const keepAliveMs = 5_000;

/** Any number that no other program locks by: it stands for our migrations. */
const migrationLock = 7_214_330_051;

/** Connects to a PostgreSQL server; resolves whether it is there or not. The URL's password is in no message. */
export async function openPostgresStore(options: {
  url: string;
  /** Certificates, instead of what the URL says of TLS. Each connection is made with what the object holds then. */
  tls?: PeerTls | undefined;
  /** Connections at most, 8 by default. */
  connections?: number;
  /** Called with each problem, once, and with `undefined` when it has gone. */
  onProblem?: (problem: string | undefined) => void;
}): Promise<PostgresStore> {
  const { url, tls, connections = 8, onProblem } = options;
  const name = URL.canParse(url) ? `PostgreSQL at ${new URL(url).host}` : "PostgreSQL";
  const connection: ClientConfig = {
    connectionString: tls === undefined ? url : withoutTls(url),
    ...(tls !== undefined && { ssl: tls }),
    connectionTimeoutMillis: statementTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveMs,
    application_name: "jackfield",
  };
  let pool = createPool();

  function createPool(): Pool {
    const created = new Pool({
      ...connection,
      max: connections,
      query_timeout: statementTimeoutMs,
      statement_timeout: serverTimeoutMs,
      lock_timeout: lockTimeoutMs,
      idle_in_transaction_session_timeout: serverTimeoutMs,
    });
    created.on("error", () => {
      // An idle connection broke: the circuit probes twice a second and reports it.
    });
    return created;
  }

  const circuit = createStoreCircuit({
    initialProblem: `${name} is not connected`,
    probe: async () => {
      await pool.query("SELECT 1");
    },
    describe: (cause) => `${name}: ${isSilence(cause) ? "it does not answer" : messageOf(cause)}`,
    isAbsence: (cause) => isSilence(cause) || !isAnswer(cause),
    // A statement that the server answers with an error is rolled back.
    isRefusal: isAnswer,
    onFailedProbe: () => {
      // Behind a silent network the old connections may never come back: try new ones.
      const silent = pool;
      pool = createPool();
      silent.end().catch(() => {});
    },
    onProblem,
  });
  await circuit.probe();

  async function migrate(part: string, script: string): Promise<void> {
    const digest = hash("sha256", script);
    const client = new Client({ ...connection, query_timeout: migrationTimeoutMs, lock_timeout: migrationTimeoutMs });
    client.on("error", () => {});
    try {
      await client.connect();
      await client.query(`BEGIN; SELECT pg_advisory_xact_lock(${migrationLock}); CREATE SCHEMA IF NOT EXISTS jackfield;
        CREATE TABLE IF NOT EXISTS jackfield.migrations (part text PRIMARY KEY, digest text NOT NULL)`);
      const { rows } = await client.query("SELECT FROM jackfield.migrations WHERE part = $1 AND digest = $2", [
        part,
        digest,
      ]);
      if (rows.length === 0) {
        await client.query(script);
        await client.query(
          "INSERT INTO jackfield.migrations VALUES ($1, $2) ON CONFLICT (part) DO UPDATE SET digest = excluded.digest",
          [part, digest],
        );
      }
      await client.query("COMMIT");
    } finally {
      await client.end().catch(() => {});
    }
  }

  return {
    url,
    query: (text, values = []) => circuit.request(async () => (await pool.query(text, [...values])).rows),
    migrate: (part, script) => circuit.request(() => migrate(part, script)),
    problem: () => circuit.problem(),
    async ping() {
      await circuit.request(() => pool.query("SELECT 1"));
    },
    async close() {
      circuit.close();
      await pool.end();
    },
  };
}

/** True for an error that the server itself has answered: it has a five-character SQLSTATE, and not one of its own end. */
function isAnswer(cause: unknown): boolean {
  if (!(cause instanceof Error) || !("code" in cause) || typeof cause.code !== "string") return false;
  return /^[0-9A-Z]{5}$/.test(cause.code) && !/^(57P|08)/.test(cause.code);
}

/** True where no answer came in time. Timeouts that the server itself reports (57014, 55P03) are answers. */
function isSilence(cause: unknown): boolean {
  return cause instanceof Error && !isAnswer(cause) && /timeout/i.test(cause.message);
}

function messageOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(messageOf).join(", ");
  return tlsProblem(cause, "engine.tls") ?? errorMessage(cause);
}
