import { randomUUID } from "node:crypto";
import type { SqlValue, Step } from "../../store/sqlite-protocol.ts";
import type { SqliteStore } from "../../store/sqlite.ts";
import { eraseTexts } from "../codec.ts";
import { endMarginMs, entryStates, takeoverRuns } from "../ledger-store.ts";
import type { LedgerStore, StoredCall, StoredIntent, StoredResult } from "../ledger-store.ts";
import type { Ledger, Retention } from "../ledger.ts";
import { createResilientLedger } from "../resilient-ledger.ts";
import type { ResilientLedgerOptions } from "../resilient-ledger.ts";
import { sql } from "./sqlite-statements.ts";

/** Maximum number of old entries that one transaction deletes, because other requests wait meanwhile. */
const eraseBatch = 500;

/**
 * The ledger in the embedded store. One process owns the file at a time, so every running entry of another owner was
 * abandoned by a process that has ended. Closing the ledger leaves the store open.
 */
export function createSqliteLedger(store: SqliteStore, options: ResilientLedgerOptions = {}): Ledger {
  return createResilientLedger(createSqliteLedgerStore(store), options);
}

function createSqliteLedgerStore(store: SqliteStore): LedgerStore {
  const owner = randomUUID();

  /** Returns the columns of an entry of this owner. */
  function columnsOf(intent: StoredIntent, attempt: number, lineage: string): SqlValue[] {
    const now = store.now();
    return [
      intent.key,
      intent.digest,
      intent.intent,
      intent.conversation,
      intent.run,
      intent.source,
      owner,
      attempt,
      lineage,
      intent.isWrite ? 1 : 0,
      intent.timeoutMs,
      now,
      now + intent.timeoutMs + endMarginMs,
      now,
    ];
  }

  /** Returns the columns of an end. */
  function endColumns({ state, bytes }: StoredResult, retention: Retention): SqlValue[] {
    return [state, retention === "replay" ? 1 : 2, bytes, store.now()];
  }

  return {
    async begin(intent, attempt) {
      const lineage = `${owner}:${attempt}`;
      const now = store.now();
      const results = await store.run([
        { sql: sql.insert, params: columnsOf(intent, attempt, lineage), stop: true },
        { sql: sql.adopt, params: [owner, -attempt, intent.key, intent.digest, now, takeoverRuns, endMarginMs] },
        { sql: sql.find, params: [intent.key] },
      ]);
      if (results[0] === 1) return { state: "new", lineage };
      const row = rows(results[2])[0];
      if (row === undefined) throw new Error("an entry vanished within its transaction");
      const { entry } = row;
      const running = entry.state === entryStates.running;
      const ownAttempt = running && row.owner === owner ? row.attempt : undefined;
      if (entry.digest !== intent.digest) return { state: "conflict", entry, ownAttempt };
      if (results[1] === 1) return { state: "abandoned", entry, lineage: row.lineage };
      return running ? { state: "running", entry, ownAttempt } : { state: "ended", entry };
    },
    async finish({ key, attempt, lineage }, result, retention) {
      const params: SqlValue[] = [key, owner, attempt, lineage, result.state === entryStates.uncertain ? 1 : 0];
      const change: Step =
        retention === "drop"
          ? { sql: sql.drop, params, stop: true }
          : {
              sql: sql.finish,
              params: [...params, ...endColumns(result, retention)],
              stop: true,
            };
      const results = await store.run([change, { sql: sql.find, params: [key] }]);
      if (results[0] === 1) return "stored";
      const row = rows(results[1])[0];
      if (row === undefined) return "gone";
      return row.owner === owner && Math.abs(row.attempt) === attempt ? "stored" : row.entry;
    },
    async write(intent, { attempt, lineage }, result, retention) {
      const results = await store.run([
        {
          sql: sql.write,
          params: [...columnsOf(intent, attempt, lineage), ...endColumns(result, retention)],
          stop: true,
        },
        { sql: sql.find, params: [intent.key] },
      ]);
      return rows(results[1])[0]?.entry ?? "stored";
    },
    async release(attempt, key) {
      const params: SqlValue[] = [owner, attempt, key ?? null];
      await store.run([
        { sql: sql.forget, params },
        { sql: sql.disown, params },
      ]);
    },
    async restart({ key, attempt }, timeoutMs) {
      const lineage = `${owner}:${attempt}`;
      const params = [key, owner, attempt, lineage, store.now() + timeoutMs + endMarginMs];
      const results = await store.run([
        { sql: sql.restart, params, stop: true },
        { sql: sql.find, params: [key] },
      ]);
      return results[0] === 1 ? { lineage } : { entry: rows(results[1])[0]?.entry };
    },
    async running(olderThanMs) {
      const [found] = await store.run([{ sql: sql.running, params: [owner, store.now() - olderThanMs] }]);
      return (found as SqlValue[][]).map(([key, attempt]) => ({ key: String(key), attempt: Number(attempt) }));
    },
    async recover(limit, attempt) {
      const params = [owner, -attempt, limit, store.now(), takeoverRuns, endMarginMs];
      const [taken] = await store.run([{ sql: sql.recover, params }]);
      return rows(taken);
    },
    async find(key) {
      const [found] = await store.run([{ sql: sql.find, params: [key] }]);
      return rows(found)[0]?.entry;
    },
    async erase(selector) {
      if (!("olderThanMs" in selector)) {
        const texts = eraseTexts(selector);
        if (texts === undefined) return 0;
        const { conversation, run, source } = texts;
        const step: Step =
          conversation === ""
            ? { sql: sql.eraseRun, params: [run, source] }
            : { sql: sql.eraseConversation, params: [conversation, run, source] };
        const [count] = await store.run([step]);
        return Number(count);
      }
      let erased = 0;
      for (const [statement, ageMs] of [
        [sql.eraseDone, selector.olderThanMs],
        [sql.eraseUncertain, selector.uncertainOlderThanMs],
      ] as const) {
        for (const { from, to } of store.aged(ageMs)) {
          for (let portion = eraseBatch; portion === eraseBatch; erased += portion) {
            const [count] = await store.run([{ sql: statement, params: [from, to, eraseBatch] }]);
            portion = Number(count);
          }
        }
      }
      return erased;
    },
    ping: () => store.ping(),
    close: async () => {},
  };
}

interface Row extends StoredCall {
  readonly owner: string;
  readonly attempt: number;
}

function rows(found: unknown): Row[] {
  if (!Array.isArray(found)) return [];
  return (found as SqlValue[][]).map(
    ([key, digest, intent, state, result, createdAt, endsAt, owner, attempt, lineage]) => ({
      entry: {
        key: String(key),
        digest: String(digest),
        intent: String(intent),
        state: Number(state),
        result: result instanceof Uint8Array ? result : undefined,
        createdAt: Number(createdAt),
        endsAt: Number(endsAt),
      },
      owner: String(owner),
      attempt: Number(attempt),
      lineage: String(lineage),
    }),
  );
}
