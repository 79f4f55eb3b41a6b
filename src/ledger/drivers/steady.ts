import type { ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { StoreUnavailableError } from "../../store/store-errors.ts";
import { LedgerUnavailableError } from "../ledger.ts";
import type { BeginResult, Intent, Retention, Ledger, LedgerEntry } from "../ledger.ts";

/** What a driver does with its store, one request each. `attempt` is a number that this process uses once. */
export interface LedgerStore {
  /** As `begin` of the ledger. The entry remembers the attempt where it is new, and its negative where it was taken over. */
  begin(intent: Intent, attempt: number): Promise<BeginResult>;
  finish(key: string, result: ToolResult, keep: Retention): Promise<void>;
  /**
   * Undoes an attempt that may have come through although nobody heard of it: an entry that was new is forgotten, one
   * that was taken over has no owner any more. Without a key: every entry of the attempt.
   */
  giveBack(attempt: number, key: string | undefined): Promise<void>;
  takeOver(limit: number, attempt: number): Promise<LedgerEntry[]>;
  find(key: string): Promise<LedgerEntry | undefined>;
  erase: Ledger["erase"];
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Pause between two tries to tie up what an outage left loose, in milliseconds. */
const settleMs = 500;

/**
 * Makes a ledger of a store that may fail in the middle of a request. What is unknown then is tied up when the store
 * is back: an intent that was refused to its caller is given back, so that nobody waits for a call that never ran, and an
 * outcome that could not be stored is stored.
 */
export function createSteadyLedger(store: LedgerStore): Ledger {
  const loose = new Map<string, (() => Promise<void>)[]>();
  let attempts = 0;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function leave(key: string, end: () => Promise<void>): void {
    loose.set(key, [...(loose.get(key) ?? []), end]);
    plan();
  }

  function plan(): void {
    if (closed || timer !== undefined || loose.size === 0) return;
    timer = setTimeout(async () => {
      try {
        for (const key of loose.keys()) await settle(key);
      } catch {
        // The store is still away: the next round tries again.
      }
      timer = undefined;
      plan();
    }, settleMs);
    timer.unref();
  }

  async function settle(key: string): Promise<void> {
    for (let end = loose.get(key)?.[0]; end !== undefined; end = loose.get(key)?.[0]) {
      await end();
      const rest = loose.get(key)?.filter((other) => other !== end) ?? [];
      if (rest.length > 0) loose.set(key, rest);
      else loose.delete(key);
    }
  }

  async function attempted<T>(
    looseKey: string,
    key: string | undefined,
    run: (attempt: number) => Promise<T>,
  ): Promise<T> {
    const attempt = ++attempts;
    try {
      if (loose.has(looseKey)) await settle(looseKey);
    } catch (cause) {
      throw unavailable(cause);
    }
    try {
      return await run(attempt);
    } catch (cause) {
      if (!isUntouched(cause)) leave(looseKey, () => store.giveBack(attempt, key));
      throw unavailable(cause);
    }
  }

  async function asked<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  return {
    begin: (intent) => attempted(intent.key, intent.key, (attempt) => store.begin(intent, attempt)),
    async finish(key, result, keep) {
      try {
        await store.finish(key, result, keep);
      } catch (cause) {
        leave(key, () => store.finish(key, result, keep));
        throw unavailable(cause);
      }
    },
    find: (key) => asked(() => store.find(key)),
    takeOver: (limit) => attempted("", undefined, (attempt) => store.takeOver(limit, attempt)),
    erase: (which) => asked(() => store.erase(which)),
    ping: () => asked(() => store.ping()),
    async close() {
      closed = true;
      clearTimeout(timer);
      try {
        for (const key of loose.keys()) await settle(key);
      } catch {
        // The store is away: whoever owns these entries next finds them without an owner.
      }
      await store.close();
    },
  };
}

function isUntouched(cause: unknown): boolean {
  return cause instanceof StoreUnavailableError && cause.untouched;
}

function unavailable(cause: unknown): LedgerUnavailableError {
  return new LedgerUnavailableError(cause instanceof Error ? cause.message : String(cause), { cause });
}
