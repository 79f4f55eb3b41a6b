import { randomUUID } from "node:crypto";
import type { RedisArgument, RedisScript, RedisStore } from "../../store/redis.ts";
import { commandTimeoutMs } from "../../store/redis.ts";
import { StoreUnavailableError } from "../../store/store-errors.ts";
import { bytesFromResult, conversationText, entryFromStored, intentText, stateFromResult } from "../codec.ts";
import type { BeginResult, Ledger, LedgerEntry } from "../ledger.ts";
import { createServerTime } from "./server-time.ts";
import * as scripts from "./redis-scripts.ts";
import { createSteadyLedger } from "./steady.ts";

/** Pause between two heartbeats, in milliseconds. */
const beatMs = 800;

/**
 * The ledger on a Redis server, shared by replicas: each request is one script, so that it is atomic over all of them.
 * An owner whose heartbeat stops is dead after `leaseMs`. Times are the server's. Ended entries expire with the window.
 * Not for a Redis Cluster: the scripts reach keys of several slots. Closing it leaves the store open.
 */
export function createRedisLedger(store: RedisStore, options: { windowMs: number; prefix?: string }): Ledger {
  const { windowMs, prefix = "jackfield:ledger:" } = options;
  const owner = randomUUID();
  const serverTime = createServerTime();
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  async function run(script: RedisScript, ...args: RedisArgument[]): Promise<unknown> {
    return await store.script(script, [], [prefix, owner, ...args]);
  }

  async function beat(): Promise<void> {
    serverTime.set(Number(await run(scripts.beat, windowMs)));
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
    return serverTime.now() + commandTimeoutMs;
  }

  function answered(answer: unknown): unknown[] {
    const parts = Array.isArray(answer) ? answer : [];
    if (String(parts[0]) === "late")
      throw new StoreUnavailableError("Redis has answered too late", { untouched: true });
    return parts;
  }

  void beatOn();
  return createSteadyLedger({
    async begin(intent, attempt): Promise<BeginResult> {
      const { key, digest, scope } = intent;
      const args = [key, digest, intentText(intent), conversationText(scope)];
      const parts = answered(await run(scripts.begin, await latest(), attempt, ...args));
      const state = String(parts[0]);
      if (state === "new" || state === "conflict") return { state };
      const entry = entryFrom(parts);
      return state === "abandoned" ? { state, entry } : { state: state === "ended" ? "ended" : "running", entry };
    },
    async finish(key, result, keep) {
      await run(scripts.finish, key, stateFromResult(result), keep, Buffer.from(bytesFromResult(result)), windowMs);
    },
    async giveBack(attempt, key) {
      await run(scripts.giveBack, attempt, ...(key === undefined ? [] : [key]));
    },
    async takeOver(limit, attempt) {
      const taken = answered(await run(scripts.takeOver, await latest(), attempt, limit));
      return taken.map((parts) => entryFrom(Array.isArray(parts) ? parts : []));
    },
    async find(key) {
      const parts = await run(scripts.find, key);
      return Array.isArray(parts) ? entryFrom(parts) : undefined;
    },
    async erase(which) {
      if (!("olderThanMs" in which)) {
        if (which.conversationId === "") return 0;
        return Number(await run(scripts.eraseConversation, conversationText(which)));
      }
      let erased = 0;
      for (;;) {
        const [looked, gone] = answered(await run(scripts.eraseOld, which.olderThanMs));
        erased += Number(gone);
        if (Number(looked) === 0) return erased;
      }
    },
    async ping() {
      // A heartbeat writes: a server that is full or read-only is found out.
      await beat();
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      try {
        await run(scripts.leave);
      } catch {
        // The server is away: the lease ends by itself.
      }
    },
  });
}

/** The entry that `show` of the scripts answers. */
function entryFrom([, key, digest, intent, state, result, createdAt]: unknown[]): LedgerEntry {
  return entryFromStored({
    key: String(key),
    digest: String(digest),
    intent: String(intent),
    state: Number(String(state)),
    result: Buffer.isBuffer(result) && result.length > 0 ? result : undefined,
    createdAt: Number(String(createdAt)),
  });
}
