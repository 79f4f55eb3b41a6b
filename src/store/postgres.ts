import { Pool } from "pg";
import type { QueryResultRow } from "pg";
import { createStoreCircuit } from "./store-circuit.ts";

/** A PostgreSQL server. A request that gets no answer in time fails, and so does all that follows until the server answers. */
export interface PostgresStore {
  readonly url: string;
  /** One statement. Rejects with a StoreUnavailableError. */
  query<Row extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Performs requests of somebody else's on the same server. Rejects with a StoreUnavailableError. */
  ask<T>(run: () => Promise<T>): Promise<T>;
  /** Performs a script once per server: replicas that start together wait for each other. */
  migrate(script: string): Promise<void>;
  /** Why the server cannot be used, in words for the operator; undefined while it can. */
  fault(): string | undefined;
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** How long a statement may wait for its answer, in milliseconds: an outage must be told within 2 s. */
export const statementTimeoutMs = 1_500;

/** Any number that no other program locks by: it stands for our migrations. */
const migrationLock = 7_214_330_051;

/** Connects to a PostgreSQL server; resolves whether it is there or not. The URL's password is in no message. */
export async function openPostgresStore(options: {
  url: string;
  /** Connections at most, 8 by default. */
  connections?: number;
  /** Told of each fault, once, and `undefined` when it has gone. */
  onFault?: (fault: string | undefined) => void;
}): Promise<PostgresStore> {
  const { url, connections = 8, onFault } = options;
  const name = URL.canParse(url) ? `PostgreSQL at ${new URL(url).host}` : "PostgreSQL";
  const pool = new Pool({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: statementTimeoutMs,
    query_timeout: statementTimeoutMs,
    keepAlive: true,
    application_name: "jackfield",
  });
  pool.on("error", () => {
    // An idle connection broke: the gate looks twice a second and tells.
  });
  const gate = createStoreCircuit({
    fault: `${name} is not connected`,
    probe: async () => {
      await pool.query("SELECT 1");
    },
    words: (cause) => `${name}: ${isSilence(cause) ? "it does not answer" : messageOf(cause)}`,
    isAbsence: (cause) => isSilence(cause) || !isAnswer(cause),
    onFault,
  });
  await gate.look();

  return {
    url,
    query: (text, values = []) => gate.ask(async () => (await pool.query(text, [...values])).rows),
    ask: (run) => gate.ask(run),
    async migrate(script) {
      await gate.ask(() => pool.query(`BEGIN; SELECT pg_advisory_xact_lock(${migrationLock}); ${script}; COMMIT`));
    },
    fault: () => gate.fault(),
    async ping() {
      await gate.ask(() => pool.query("SELECT 1"));
    },
    async close() {
      gate.close();
      await pool.end();
    },
  };
}

/** True for an error that the server itself has answered: it has a five-character SQLSTATE, and not one of its own end. */
function isAnswer(cause: unknown): boolean {
  if (!(cause instanceof Error) || !("code" in cause) || typeof cause.code !== "string") return false;
  return /^[0-9A-Z]{5}$/.test(cause.code) && !/^(57P|08)/.test(cause.code);
}

function isSilence(cause: unknown): boolean {
  return cause instanceof Error && /timeout/i.test(cause.message);
}

function messageOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(messageOf).join(", ");
  return cause instanceof Error ? cause.message : String(cause);
}
