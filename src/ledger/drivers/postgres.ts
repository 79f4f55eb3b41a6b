import { randomUUID } from "node:crypto";
import { escapeText, statementTimeoutMs } from "../../store/postgres.ts";
import type { PostgresStore } from "../../store/postgres.ts";
import { StoreUnavailableError } from "../../store/store-errors.ts";
import { eraseTexts } from "../codec.ts";
import { entryStates } from "../ledger-store.ts";
import type { StoreBeginResult, StoredCall, StoredIntent } from "../ledger-store.ts";
import type { Ledger } from "../ledger.ts";
import { createResilientLedger } from "../resilient-ledger.ts";
import type { ResilientLedgerOptions } from "../resilient-ledger.ts";
import { createHeartbeat } from "./heartbeat.ts";
import type { HeartbeatAnswer } from "./heartbeat.ts";
import { eraseBatch, schema, statements } from "./postgres-schema.ts";

/** An entry as PostgreSQL returns it: bigints are text. */
interface Row {
  key: string;
  digest: string;
  intent: string;
  state: number;
  result: Buffer | null;
  created_at: string;
  ends_at: string;
  owner: string;
  attempt: string;
  lineage: string;
}

/**
 * The ledger on a PostgreSQL server, shared by replicas. Each request is one statement, and times are the server's.
 * `erase` deletes ended entries. Closing the ledger leaves the store open.
 */
export function createPostgresLedger(store: PostgresStore, options: ResilientLedgerOptions = {}): Ledger {
  const owner = randomUUID();
  const heartbeat = createHeartbeat(beat, { server: "PostgreSQL", answerWithinMs: statementTimeoutMs });
  let migrated: Promise<void> | undefined;

  async function run<R extends object>(statement: string, ...values: unknown[]): Promise<R[]> {
    migrated ??= store.migrate("ledger", schema);
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

  async function beat(): Promise<HeartbeatAnswer> {
    const rows = await run<{ time: string; owner: string | null; beats: string | null }>(statements.beat, owner);
    const erased = await run<{ id: string; selector: string }>(statements.erasures);
    return {
      time: Number(rows[0]?.time),
      owners: rows.map((row) => [row.owner ?? owner, row.beats ?? "0"]),
      erasures: erased.map(({ id, selector }) => [id, selector]),
    };
  }

  return createResilientLedger(
    {
      async begin(intent, attempt): Promise<StoreBeginResult> {
        const { key, digest, isWrite, timeoutMs } = intent;
        const values = [owner, await heartbeat.latest(), attempt, key, digest, ...textsOf(intent)];
        const options = [isWrite, timeoutMs, heartbeat.dead()];
        const [row] = await run<Row & { told: string }>(statements.begin, ...values, ...options);
        const state = row?.told;
        if (row === undefined || state === "late")
          throw new StoreUnavailableError("PostgreSQL has answered too late", { untouched: true });
        if (state === "new") return { state, lineage: `${owner}:${attempt}` };
        const { entry, lineage } = callFrom(row);
        const ownAttempt = entry.state === entryStates.running && row.owner === owner ? Number(row.attempt) : undefined;
        if (state === "conflict") return { state, entry, ownAttempt };
        if (state === "abandoned") return { state, entry, lineage };
        return state === "ended" ? { state, entry } : { state: "running", entry, ownAttempt };
      },
      async finish({ key, attempt, lineage }, result, retention) {
        const bytes = retention === "drop" ? null : Buffer.from(result.bytes);
        const values = [owner, key, attempt, lineage, result.state, retention, bytes];
        const [row] = await run<Row & { told: string }>(statements.finish, ...values);
        if (row?.told === "stored" || row?.told === "gone") return row.told;
        if (row === undefined) throw new StoreUnavailableError("PostgreSQL has returned nothing");
        return callFrom(row).entry;
      },
      async write(intent, { attempt, lineage }, result, retention) {
        const { key, digest, isWrite, timeoutMs } = intent;
        const params = [owner, attempt, lineage, isWrite, timeoutMs];
        const end = [result.state, retention, Buffer.from(result.bytes)];
        const [row] = await run<Row>(statements.write, key, digest, ...textsOf(intent), ...params, ...end);
        return row === undefined ? "stored" : callFrom(row).entry;
      },
      async release(attempt, key) {
        await run(statements.release, owner, attempt, key ?? null);
      },
      async restart({ key, attempt }, timeoutMs) {
        const [row] = await run<{ lineage: string }>(statements.restart, owner, key, attempt, timeoutMs);
        if (row !== undefined) return row;
        const [found] = await run<Row>(statements.find, key);
        return { entry: found && callFrom(found).entry };
      },
      async running(olderThanMs) {
        const found = await run<{ key: string; attempt: string }>(statements.running, owner, olderThanMs);
        return found.map(({ key, attempt }) => ({ key, attempt: Number(attempt) }));
      },
      async recover(limit, attempt) {
        return (
          await run<Row>(statements.recover, owner, attempt, await heartbeat.latest(), limit, heartbeat.dead())
        ).map(callFrom);
      },
      async find(key) {
        const [row] = await run<Row>(statements.find, key);
        return row && callFrom(row).entry;
      },
      async erase(selector) {
        if (!("olderThanMs" in selector)) {
          const texts = eraseTexts(selector);
          if (texts === undefined) return 0;
          await run(statements.announceErasure, randomUUID(), JSON.stringify(selector));
          const { conversation, run: runId } = texts;
          const source = escapeText(texts.source);
          return conversation === ""
            ? await count(statements.eraseRun, runId, source)
            : await count(statements.eraseConversation, conversation, runId, source);
        }
        let erased = 0;
        for (const [statement, ageMs] of [
          [statements.eraseDone, selector.olderThanMs],
          [statements.eraseUncertain, selector.uncertainOlderThanMs],
        ] as const) {
          for (let portion = eraseBatch; portion === eraseBatch; erased += portion)
            portion = await count(statement, ageMs, heartbeat.steppedMs);
        }
        await run(statements.forgetOwners);
        return erased;
      },
      async ping() {
        // A heartbeat writes, so it detects a server that is full or read-only.
        await heartbeat.beat();
      },
      onErased: heartbeat.onErased,
      notes: () => heartbeat.notes(),
      async close() {
        heartbeat.stop();
        try {
          await run(statements.leave, owner);
        } catch {
          // The server is unavailable: the heartbeat expires by itself.
        }
      },
    },
    options,
  );

  async function count(statement: string, ...values: unknown[]): Promise<number> {
    const [row] = await run<{ count: string }>(statement, ...values);
    return Number(row?.count ?? 0);
  }
}

/** Returns the stored fields of an intent besides key and digest, in the order of the statements' parameters. */
function textsOf({ intent, conversation, run, source }: StoredIntent): string[] {
  return [intent, conversation, run, escapeText(source)];
}

function callFrom(row: Row): StoredCall {
  const { key, digest, intent, state, result, lineage } = row;
  const times = { createdAt: Number(row.created_at), endsAt: Number(row.ends_at) };
  return { entry: { key, digest, intent, state, result, ...times }, lineage };
}
