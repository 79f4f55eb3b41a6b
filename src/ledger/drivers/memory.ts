import { randomUUID } from "node:crypto";
import { createClock } from "../../store/clock.ts";
import type { Clock } from "../../store/clock.ts";
import { eraseTexts } from "../codec.ts";
import { endMarginMs, entryStates, takeoverRuns } from "../ledger-store.ts";
import type { LedgerStore, StoredCall, StoredClaim, StoredEntry, StoredIntent, StoredResult } from "../ledger-store.ts";
import type { ErasureListener, EraseSelector, Ledger, Retention } from "../ledger.ts";
import { createResilientLedger } from "../resilient-ledger.ts";
import type { ResilientLedgerOptions } from "../resilient-ledger.ts";

interface MemoryEntry {
  readonly intent: StoredIntent;
  entry: StoredEntry;
  owner: string;
  attempt: number;
  acquiredAt: number;
  lineage: string;
  retention: Retention | undefined;
  endedAt: number;
}

/** State shared by in-memory ledgers, as replicas share a server. */
export interface MemoryLedgerServer {
  readonly clock: Clock;
  readonly entries: Map<string, MemoryEntry>;
  /** Owners that are alive. */
  readonly owners: Set<string>;
  /** Listeners of all replicas. */
  readonly onErased: Set<ErasureListener>;
}

/** Creates the shared state of in-memory ledgers. */
export function createMemoryLedgerServer(clock: Clock = createClock()): MemoryLedgerServer {
  return { clock, entries: new Map(), owners: new Set(), onErased: new Set() };
}

/** An in-memory ledger, for tests and for `jackfield/testing`. Closing it abandons its running calls. */
export function createMemoryLedger(
  options: ResilientLedgerOptions & { server?: MemoryLedgerServer; clock?: Clock } = {},
): Ledger {
  const server = options.server ?? createMemoryLedgerServer(options.clock);
  return createResilientLedger(createMemoryLedgerStore(server), options);
}

/** One owner's view of the shared state. */
export function createMemoryLedgerStore({ clock, entries, owners, onErased }: MemoryLedgerServer): LedgerStore {
  const owner = randomUUID();
  owners.add(owner);

  function canTakeOver({ intent, entry, owner: other }: MemoryEntry): boolean {
    if (entry.state !== entryStates.running || owners.has(other)) return false;
    return !intent.isWrite || entry.endsAt <= clock();
  }

  function takeOver(known: MemoryEntry, attempt: number): StoredCall {
    known.owner = owner;
    known.attempt = -attempt;
    known.acquiredAt = clock();
    known.entry = { ...known.entry, endsAt: clock() + takeoverRuns * known.intent.timeoutMs + endMarginMs };
    return { entry: known.entry, lineage: known.lineage };
  }

  function isOwnedBy(known: MemoryEntry, { attempt }: StoredClaim): boolean {
    return known.owner === owner && Math.abs(known.attempt) === attempt;
  }

  function end(known: MemoryEntry, attempt: number, { state, bytes }: StoredResult, retention: Retention): void {
    if (retention === "drop") {
      entries.delete(known.entry.key);
      return;
    }
    known.entry = { ...known.entry, result: bytes, state };
    known.owner = owner;
    known.attempt = attempt;
    known.retention = retention;
    known.endedAt = clock();
  }

  function put(intent: StoredIntent, attempt: number, lineage: string): MemoryEntry {
    const now = clock();
    const entry: StoredEntry = {
      key: intent.key,
      digest: intent.digest,
      intent: intent.intent,
      state: entryStates.running,
      result: undefined,
      createdAt: now,
      endsAt: now + intent.timeoutMs + endMarginMs,
    };
    const known = { intent, entry, owner, attempt, acquiredAt: now, lineage, retention: undefined, endedAt: 0 };
    entries.set(intent.key, known);
    return known;
  }

  return {
    async begin(intent, attempt) {
      const known = entries.get(intent.key);
      if (known === undefined || known.retention === "show") {
        const lineage = `${owner}:${attempt}`;
        put(intent, attempt, lineage);
        return { state: "new", lineage };
      }
      const { entry } = known;
      const running = entry.state === entryStates.running;
      const ownAttempt = running && known.owner === owner ? known.attempt : undefined;
      if (entry.digest !== intent.digest) return { state: "conflict", entry, ownAttempt };
      if (canTakeOver(known)) return { state: "abandoned", ...takeOver(known, attempt) };
      return running ? { state: "running", entry, ownAttempt } : { state: "ended", entry };
    },
    async finish(claim, result, retention) {
      const known = entries.get(claim.key);
      if (known === undefined) return "gone";
      const { state } = known.entry;
      const isOwn = isOwnedBy(known, claim);
      const settles =
        state === entryStates.uncertain && known.lineage === claim.lineage && result.state !== entryStates.uncertain;
      if ((state === entryStates.running && isOwn) || settles) end(known, claim.attempt, result, retention);
      else if (!isOwn) return known.entry;
      return "stored";
    },
    async write(intent, { attempt, lineage }, result, retention) {
      const known = entries.get(intent.key);
      if (known !== undefined) return known.entry;
      end(put(intent, attempt, lineage), attempt, result, retention);
      return "stored";
    },
    async release(attempt, key) {
      for (const known of entries.values()) {
        if (known.owner !== owner || known.entry.state !== entryStates.running) continue;
        if (Math.abs(known.attempt) !== attempt || (key !== undefined && known.entry.key !== key)) continue;
        if (known.attempt > 0) entries.delete(known.entry.key);
        else known.owner = "";
      }
    },
    async restart(claim, timeoutMs) {
      const known = entries.get(claim.key);
      if (known === undefined || known.entry.state !== entryStates.running || !isOwnedBy(known, claim))
        return { entry: known?.entry };
      known.lineage = `${owner}:${claim.attempt}`;
      known.entry = { ...known.entry, endsAt: clock() + timeoutMs + endMarginMs };
      return { lineage: known.lineage };
    },
    async running(olderThanMs) {
      const before = clock() - olderThanMs;
      return [...entries.values()]
        .filter(
          (known) => known.owner === owner && known.entry.state === entryStates.running && known.acquiredAt <= before,
        )
        .map(({ entry, attempt }) => ({ key: entry.key, attempt }));
    },
    async recover(limit, attempt) {
      const abandoned = [...entries.values()].filter(canTakeOver).slice(0, limit);
      return abandoned.map((known) => takeOver(known, attempt));
    },
    find: async (key) => entries.get(key)?.entry,
    async erase(selector) {
      const matching = [...entries.values()].filter((known) => matches(known, selector, clock()));
      for (const { entry } of matching) entries.delete(entry.key);
      if (!("olderThanMs" in selector)) for (const listener of onErased) listener(selector);
      return matching.length;
    },
    onErased: (listener) => void onErased.add(listener),
    ping: async () => {},
    async close() {
      owners.delete(owner);
    },
  };
}

function matches({ intent, entry, endedAt }: MemoryEntry, selector: EraseSelector, now: number): boolean {
  if (entry.state === entryStates.running) return false;
  if ("olderThanMs" in selector) {
    const { olderThanMs, uncertainOlderThanMs } = selector;
    return endedAt <= now - (entry.state === entryStates.uncertain ? uncertainOlderThanMs : olderThanMs);
  }
  const texts = eraseTexts(selector);
  if (texts === undefined) return false;
  const { conversation, run, source } = texts;
  return (
    (conversation === "" || intent.conversation === conversation) &&
    (run === "" || intent.run === run) &&
    (source === "" || intent.source === source)
  );
}
