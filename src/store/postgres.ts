import { hash } from "node:crypto";
import { Client, Pool } from "pg";
import type { ClientConfig, QueryResultRow } from "pg";
import { type PeerTls, withoutTls } from "../config/peer-tls.ts";
import { errorMessage } from "../error-message.ts";
import { tlsProblem } from "../config/tls-problem.ts";
import { createStoreCircuit } from "./store-circuit.ts";

/**
 * A PostgreSQL server. A request without an answer in time fails; so does every later request until the server answers
 * again.
 */
export interface PostgresStore {
  readonly url: string;
  /** Runs one statement. Rejects with a StoreUnavailableError. */
  query<Row extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /**
   * Applies a part's schema script unless it is already the current one. Replicas that start concurrently wait for each
   * other. May take minutes on large tables. Rejects with a StoreUnavailableError.
   */
  migrate(part: string, script: string): Promise<void>;
  /** The reason why the server is unusable, for the operator; undefined while it works. */
  problem(): string | undefined;
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Timeout of a statement, in milliseconds: an outage must be reported within 2 s. */
export const statementTimeoutMs = 1_500;

/** Escapes NUL, which PostgreSQL's `text` cannot contain. */
export function escapeText(text: string): string {
  return text.includes("\\") || text.includes("\0") ? text.replaceAll("\\", "\\\\").replaceAll("\0", "\\0") : text;
}

/** Reverses `escapeText`. */
export function unescapeText(text: string): string {
  return text.replaceAll(/\\([\\0])/g, (_, character: string) => (character === "0" ? "\0" : "\\"));
}

/**
 * Timeout of a statement on the server, in milliseconds. It is shorter than the client's, so that the server stops
 * first.
 */
const serverTimeoutMs = 1_400;

/** Maximum wait for a lock on the server, in milliseconds. It is shorter than the client's timeout. */
const lockTimeoutMs = 1_000;

/** Timeout of a migration, in milliseconds. */
const migrationTimeoutMs = 600_000;

/** Idle time before the operating system sends TCP keep-alive probes, in milliseconds. */
const keepAliveMs = 5_000;

/** Id of the advisory lock for migrations: an arbitrary number that no other program should use. */
const migrationLock = 7_214_330_051;

/**
 * Connects to a PostgreSQL server. Resolves whether or not the server is reachable. No message contains the URL's
 * password.
 */
export async function openPostgresStore(options: {
  url: string;
  /** Certificates, overriding the TLS settings in the URL. Each new connection uses the object's current content. */
  tls?: PeerTls | undefined;
  /** Maximum number of connections; 8 by default. */
  connections?: number;
  /** Called once with each problem, and with `undefined` when it is over. */
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
      // An idle connection broke. The circuit probes twice a second and reports it.
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
    // A statement that the server answers with an error has been rolled back.
    isRefusal: isAnswer,
    onFailedProbe: () => {
      // Behind a silent network, the old connections may never recover: open new ones.
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

/**
 * Reports whether an error is the server's own answer: it has a five-character SQLSTATE that does not announce a
 * shutdown.
 */
function isAnswer(cause: unknown): boolean {
  if (!(cause instanceof Error) || !("code" in cause) || typeof cause.code !== "string") return false;
  return /^[0-9A-Z]{5}$/.test(cause.code) && !/^(57P|08)/.test(cause.code);
}

/** Reports whether no answer arrived in time. Timeouts that the server itself reports (57014, 55P03) are answers. */
function isSilence(cause: unknown): boolean {
  return cause instanceof Error && !isAnswer(cause) && /timeout/i.test(cause.message);
}

function messageOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(messageOf).join(", ");
  return tlsProblem(cause, "engine.tls") ?? errorMessage(cause);
}
