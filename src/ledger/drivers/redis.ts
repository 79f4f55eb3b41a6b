import { randomUUID } from "node:crypto";
import type { RedisArgument, RedisScript, RedisStore } from "../../store/redis.ts";
import { commandTimeoutMs } from "../../store/redis.ts";
import { StoreUnavailableError } from "../../store/store-errors.ts";
import { eraseTexts } from "../codec.ts";
import { entryStates } from "../ledger-store.ts";
import type {
  StoreBeginResult,
  StoredCall,
  StoredClaim,
  StoredEntry,
  StoredIntent,
  StoredResult,
} from "../ledger-store.ts";
import type { Ledger, Retention } from "../ledger.ts";
import { createResilientLedger } from "../resilient-ledger.ts";
import type { ResilientLedgerOptions } from "../resilient-ledger.ts";
import type { StoredErasure } from "./erasures.ts";
import { createHeartbeat } from "./heartbeat.ts";
import type { HeartbeatAnswer } from "./heartbeat.ts";
import * as scripts from "./redis-scripts.ts";

/**
 * The ledger on a Redis server, shared by replicas. Each request is one script and thus atomic. Times are the server's.
 * `erase` deletes ended entries; if nothing calls it any more, Redis expires them later. Does not support Redis
 * Cluster, because the scripts access keys of several slots. Closing the ledger leaves the store open.
 */
export function createRedisLedger(
  store: RedisStore,
  options: ResilientLedgerOptions & { windowMs: number; uncertainMs: number; prefix?: string },
): Ledger {
  const { windowMs, uncertainMs, prefix = "jackfield:ledger:" } = options;
  const owner = randomUUID();
  const heartbeat = createHeartbeat(beat, { server: "Redis", answerWithinMs: commandTimeoutMs });

  async function run(script: RedisScript, ...args: RedisArgument[]): Promise<unknown> {
    return await store.script(script, [], [prefix, owner, ...args]);
  }

  async function beat(): Promise<HeartbeatAnswer> {
    const [time, found, erased] = answered(await run(scripts.heartbeat));
    return { time: Number(String(time)), owners: pairs(found), erasures: erasuresFrom(erased) };
  }

  /** Returns the dead owners in the format of the scripts: separated and surrounded by spaces. */
  function dead(): string {
    return ` ${heartbeat.dead().join("  ")} `;
  }

  /** Returns the stored fields of an end, in the order of the scripts' arguments. */
  function endOf({ state, bytes }: StoredResult, retention: Retention): RedisArgument[] {
    const retentionMs = state === entryStates.uncertain ? uncertainMs : windowMs;
    return [state, retention, Buffer.from(bytes), retentionMs];
  }

  function answered(answer: unknown): unknown[] {
    const parts = Array.isArray(answer) ? answer : [];
    if (String(parts[0]) === "late")
      throw new StoreUnavailableError("Redis has answered too late", { untouched: true });
    return parts;
  }

  async function write(
    script: RedisScript,
    intent: StoredIntent,
    { attempt, lineage }: StoredClaim,
    result: StoredResult,
    retention: Retention,
  ): Promise<"stored" | "erased" | StoredEntry> {
    const { key, digest } = intent;
    const end = endOf(result, retention);
    const parts = answered(await run(script, key, attempt, lineage, ...end, digest, ...columnsOf(intent)));
    const state = String(parts[0]);
    return state === "stored" || state === "erased" ? state : callFrom(parts).entry;
  }

  return createResilientLedger(
    {
      async begin(intent, attempt): Promise<StoreBeginResult> {
        const { key, digest } = intent;
        const parts = answered(
          await run(scripts.begin, await heartbeat.latest(), attempt, key, digest, ...columnsOf(intent), dead()),
        );
        const state = String(parts[0]);
        if (state === "new") return { state, lineage: `${owner}:${attempt}` };
        const call = callFrom(parts);
        const { entry, lineage } = call;
        const ownAttempt = entry.state === entryStates.running && call.owner === owner ? call.attempt : undefined;
        if (state === "conflict") return { state, entry, ownAttempt };
        if (state === "abandoned") return { state, entry, lineage };
        return state === "ended" ? { state, entry } : { state: "running", entry, ownAttempt };
      },
      async finish({ key, attempt, lineage }, result, retention) {
        const end = endOf(result, retention);
        const parts = answered(await run(scripts.finish, key, attempt, lineage, ...end));
        const state = String(parts[0]);
        return state === "stored" || state === "gone" ? state : callFrom(parts).entry;
      },
      async write(...entry) {
        const answer = await write(scripts.write, ...entry);
        return answer === "erased" ? "stored" : answer;
      },
      restore: (...entry) => write(scripts.restore, ...entry),
      async release(attempt, key) {
        await run(scripts.release, attempt, ...(key === undefined ? [] : [key]));
      },
      async restart({ key, attempt }, timeoutMs) {
        const parts = answered(await run(scripts.restart, key, attempt, timeoutMs));
        const state = String(parts[0]);
        if (state === "restarted") return { lineage: `${owner}:${attempt}` };
        return { entry: state === "gone" ? undefined : callFrom(parts).entry };
      },
      async running(olderThanMs) {
        const found = pairs(await run(scripts.running, olderThanMs));
        return found.map(([key, attempt]) => ({ key, attempt: Number(attempt) }));
      },
      async recover(limit, attempt) {
        const taken = answered(await run(scripts.recover, await heartbeat.latest(), attempt, limit, dead()));
        return taken.map((parts) => callFrom(Array.isArray(parts) ? parts : []));
      },
      async find(key) {
        const parts = await run(scripts.find, key);
        return Array.isArray(parts) ? callFrom(parts).entry : undefined;
      },
      async erase(selector) {
        if (!("olderThanMs" in selector)) {
          const texts = eraseTexts(selector);
          if (texts === undefined) return 0;
          return Number(
            await run(
              scripts.eraseSelected,
              texts.conversation,
              texts.run,
              texts.source,
              `${randomUUID()} ${JSON.stringify(selector)}`,
            ),
          );
        }
        const { olderThanMs, uncertainOlderThanMs } = selector;
        let erased = 0;
        for (;;) {
          const [looked, deleted] = answered(
            await run(scripts.eraseOld, olderThanMs, uncertainOlderThanMs, heartbeat.steppedMs),
          );
          erased += Number(deleted);
          if (Number(looked) === 0) return erased;
        }
      },
      async ping() {
        // A heartbeat writes, so it detects a server that is full or read-only.
        await heartbeat.beat();
      },
      onReturn: (listener) => store.onReturn(listener),
      onErased: heartbeat.onErased,
      notes: () => heartbeat.notes(),
      async close() {
        heartbeat.stop();
        try {
          await run(scripts.leave);
        } catch {
          // The server is unavailable: the lease expires by itself.
        }
      },
    },
    { ...options, rememberMs: Math.min(scripts.rememberMs, windowMs) },
  );
}

/** Returns the erasures of an answer, each an id and a selector with a space between them. */
function erasuresFrom(answer: unknown): StoredErasure[] {
  const texts = Array.isArray(answer) ? answer.map(String) : [];
  return texts.map((text) => [text.slice(0, text.indexOf(" ")), text.slice(text.indexOf(" ") + 1)]);
}

/** Groups an alternating list into pairs. */
function pairs(found: unknown): [string, string][] {
  const texts = Array.isArray(found) ? found.map(String) : [];
  return texts.flatMap((text, index) => (index % 2 === 0 ? [[text, texts[index + 1] ?? ""] as [string, string]] : []));
}

/** Returns the stored fields of an intent besides key and digest, in the order of the scripts' arguments. */
function columnsOf({ intent, conversation, run, source, isWrite, timeoutMs }: StoredIntent): RedisArgument[] {
  return [intent, conversation, run, source, isWrite ? 1 : 0, timeoutMs];
}

interface ShownCall extends StoredCall {
  readonly owner: string;
  readonly attempt: number;
}

/** Decodes the entry that the scripts' `show` returns. */
function callFrom(parts: unknown[]): ShownCall {
  const [, key, digest, intent, state, result, createdAt, endsAt, owner, attempt, lineage] = parts;
  return {
    entry: {
      key: String(key),
      digest: String(digest),
      intent: String(intent),
      state: Number(String(state)),
      result: Buffer.isBuffer(result) && result.length > 0 ? result : undefined,
      createdAt: Number(String(createdAt)),
      endsAt: Number(String(endsAt)),
    },
    owner: String(owner),
    attempt: Number(String(attempt)),
    lineage: String(lineage),
  };
}
