import { randomUUID } from "node:crypto";
import { statementTimeoutMs } from "../../store/postgres.ts";
import type { PostgresStore } from "../../store/postgres.ts";
import { StoreUnavailableError } from "../../store/store-errors.ts";
import { bytesFromResult, conversationText, entryFromStored, intentText, stateFromResult } from "../codec.ts";
import type { BeginResult, Ledger, LedgerEntry } from "../ledger.ts";
import { schema, statements } from "./postgres-schema.ts";
import { createServerTime } from "./server-time.ts";
import { createSteadyLedger } from "./steady.ts";

/** Pause between two heartbeats, in milliseconds. */
const beatMs = 800;

/** An entry as PostgreSQL gives it: its large numbers come as text. */
interface Row {
  key: string;
  digest: string;
  intent: string;
  state: number;
  result: Buffer | null;
  created_at: string;
}

/**
 * The ledger on a PostgreSQL server, shared by replicas: each request is one statement. An owner whose heartbeat stops
 * is dead after `leaseMs`. Times are the server's. Ended entries go by `erase`. Closing it leaves the store open.
 */
export function createPostgresLedger(store: PostgresStore): Ledger {
  const owner = randomUUID();
  const serverTime = createServerTime();
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let migrated: Promise<void> | undefined;

  async function run<R extends object>(statement: string, ...values: unknown[]): Promise<R[]> {
    migrated ??= store.migrate(schema);
    try {
      await migrated;
    } catch (cause) {
      migrated = undefined;
      throw new StoreUnavailableError(cause instanceof Error ? cause.message : String(cause), {
        untouched: true,
        cause,
      });
    }
    return await store.query<R>(statement, values);
  }

  async function beat(): Promise<void> {
    const [row] = await run<{ time: string }>(statements.beat, owner);
    serverTime.set(Number(row?.time));
  }

  async function beatOn(): Promise<void> {
    try {
      await beat();
    } catch {
      // The server is away: whoever asks for something is told so.
    }
    if (!closed) timer = setTimeout(() => void beatOn(), beatMs);
  }

  /** The latest time at which the server may still carry out a request that is sent now: later its caller has given up. */
  async function latest(): Promise<number> {
    if (!serverTime.known()) await beat();
    return serverTime.now() + statementTimeoutMs;
  }

  void beatOn();
  return createSteadyLedger({
    async begin(intent, attempt): Promise<BeginResult> {
      const { key, digest, scope } = intent;
      const values = [owner, await latest(), attempt, key, digest, intentText(intent), conversationText(scope)];
      const [row] = await run<Row & { told: string }>(statements.begin, ...values);
      const state = row?.told;
      if (state === "new" || state === "conflict") return { state };
      if (row === undefined || state === "late")
        throw new StoreUnavailableError("PostgreSQL has answered too late", { untouched: true });
      const entry = entryFrom(row);
      return state === "abandoned" ? { state, entry } : { state: state === "ended" ? "ended" : "running", entry };
    },
    async finish(key, result, keep) {
      if (keep === "drop") await run(statements.drop, owner, key);
      else
        await run(statements.finish, owner, key, stateFromResult(result), keep, Buffer.from(bytesFromResult(result)));
    },
    async giveBack(attempt, key) {
      await run(statements.giveBack, owner, attempt, key ?? null);
    },
    async takeOver(limit, attempt) {
      return (await run<Row>(statements.takeOver, owner, attempt, await latest(), limit)).map(entryFrom);
    },
    async find(key) {
      const [row] = await run<Row>(statements.find, key);
      return row === undefined ? undefined : entryFrom(row);
    },
    async erase(which) {
      if (!("olderThanMs" in which)) {
        if (which.conversationId === "") return 0;
        const [row] = await run<{ count: string }>(statements.eraseConversation, conversationText(which));
        return Number(row?.count ?? 0);
      }
      let erased = 0;
      for (;;) {
        const [row] = await run<{ count: string }>(statements.eraseOld, which.olderThanMs);
        const count = Number(row?.count ?? 0);
        erased += count;
        if (count < 2_000) break;
      }
      await run(statements.forgetOwners);
      return erased;
    },
    async ping() {
      // A heartbeat writes: a server that is full or read-only is found out.
      await beat();
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      try {
        await run(statements.leave, owner);
      } catch {
        // The server is away: the heartbeat grows old by itself.
      }
    },
  });
}

function entryFrom({ key, digest, intent, state, result, created_at: createdAt }: Row): LedgerEntry {
  return entryFromStored({ key, digest, intent, state, result, createdAt: Number(createdAt) });
}
