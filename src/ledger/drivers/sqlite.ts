import { randomUUID } from "node:crypto";
import type { SqlValue, Step } from "../../store/sqlite-protocol.ts";
import type { SqliteStore } from "../../store/sqlite.ts";
import { bytesFromResult, conversationText, entryFromStored, intentText, stateFromResult } from "../codec.ts";
import type { BeginResult, Intent, Ledger, LedgerEntry } from "../ledger.ts";
import { createSteadyLedger } from "./steady.ts";

const columns = "key, digest, intent, state, result, created_at";

const sql = {
  insert: `INSERT INTO entries (key, digest, intent, conversation, owner, attempt, state, keep, created_at)
    VALUES (?, ?, ?, ?, ?, ?, 0, 0, ?)
    ON CONFLICT (key) DO UPDATE SET digest = excluded.digest, intent = excluded.intent, owner = excluded.owner,
      attempt = excluded.attempt, state = 0, keep = 0, result = NULL, created_at = excluded.created_at, ended_at = NULL
    WHERE entries.state <> 0 AND entries.keep = 2`,
  adopt: "UPDATE entries SET owner = ?1, attempt = ?2 WHERE key = ?3 AND state = 0 AND owner <> ?1 AND digest = ?4",
  find: `SELECT ${columns} FROM entries WHERE key = ?`,
  finish: "UPDATE entries SET state = ?, keep = ?, result = ?, ended_at = ? WHERE key = ? AND state = 0 AND owner = ?",
  drop: "DELETE FROM entries WHERE key = ? AND state = 0 AND owner = ?",
  forget: "DELETE FROM entries WHERE state = 0 AND owner = ?1 AND attempt = ?2 AND (?3 IS NULL OR key = ?3)",
  disown: "UPDATE entries SET owner = '' WHERE state = 0 AND owner = ?1 AND attempt = -?2 AND (?3 IS NULL OR key = ?3)",
  takeOver: `UPDATE entries SET owner = ?1, attempt = ?2 WHERE rowid IN
      (SELECT rowid FROM entries WHERE state = 0 AND owner <> ?1 ORDER BY created_at LIMIT ?3)
    RETURNING ${columns}`,
  eraseConversation: "DELETE FROM entries WHERE state <> 0 AND conversation = ?",
  eraseOld: "DELETE FROM entries WHERE rowid IN (SELECT rowid FROM entries WHERE state <> 0 AND ended_at <= ? LIMIT ?)",
};

/** How many old entries one transaction forgets: other requests wait meanwhile. */
const eraseAtOnce = 2_000;

/**
 * The ledger in the embedded store. One process has the file at a time, so every running entry of another owner was
 * abandoned by a process that is gone. Closing it leaves the store open.
 */
export function createSqliteLedger(store: SqliteStore): Ledger {
  const owner = randomUUID();

  return createSteadyLedger({
    async begin(intent: Intent, attempt: number): Promise<BeginResult> {
      const results = await store.run([
        {
          sql: sql.insert,
          params: [
            intent.key,
            intent.digest,
            intentText(intent),
            conversationText(intent.scope),
            owner,
            attempt,
            store.now(),
          ],
          stop: true,
        },
        { sql: sql.adopt, params: [owner, -attempt, intent.key, intent.digest] },
        { sql: sql.find, params: [intent.key] },
      ]);
      if (results[0] === 1) return { state: "new" };
      const entry = entries(results[2])[0];
      if (entry === undefined) throw new Error("an entry vanished within its transaction");
      if (entry.digest !== intent.digest) return { state: "conflict" };
      if (results[1] === 1) return { state: "abandoned", entry };
      return { state: entry.state === "running" ? "running" : "ended", entry };
    },
    async finish(key, result, keep) {
      const step: Step =
        keep === "drop"
          ? { sql: sql.drop, params: [key, owner] }
          : {
              sql: sql.finish,
              params: [
                stateFromResult(result),
                keep === "replay" ? 1 : 2,
                bytesFromResult(result),
                store.now(),
                key,
                owner,
              ],
            };
      await store.run([step]);
    },
    async giveBack(attempt, key) {
      const params: SqlValue[] = [owner, attempt, key ?? null];
      await store.run([
        { sql: sql.forget, params },
        { sql: sql.disown, params },
      ]);
    },
    async takeOver(limit, attempt) {
      const [taken] = await store.run([{ sql: sql.takeOver, params: [owner, -attempt, limit] }]);
      return entries(taken);
    },
    async find(key) {
      const [found] = await store.run([{ sql: sql.find, params: [key] }]);
      return entries(found)[0];
    },
    async erase(which) {
      if (!("olderThanMs" in which)) {
        if (which.conversationId === "") return 0;
        const [count] = await store.run([{ sql: sql.eraseConversation, params: [conversationText(which)] }]);
        return Number(count);
      }
      const before = store.now() - which.olderThanMs;
      let erased = 0;
      for (;;) {
        const [count] = await store.run([{ sql: sql.eraseOld, params: [before, eraseAtOnce] }]);
        erased += Number(count);
        if (Number(count) < eraseAtOnce) return erased;
      }
    },
    ping: () => store.ping(),
    close: async () => {},
  });
}

function entries(found: unknown): LedgerEntry[] {
  if (!Array.isArray(found)) return [];
  return (found as SqlValue[][]).map(([key, digest, intent, state, result, createdAt]) =>
    entryFromStored({
      key: String(key),
      digest: String(digest),
      intent: String(intent),
      state: Number(state),
      result: result instanceof Uint8Array ? result : undefined,
      createdAt: Number(createdAt),
    }),
  );
}
