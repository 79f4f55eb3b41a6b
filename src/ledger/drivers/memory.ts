import { randomUUID } from "node:crypto";
import { Outcome } from "../../../gen/jackfield/v1/tool_pb.ts";
import { selects } from "../selects.ts";
import type { ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { createClock } from "../../store/clock.ts";
import type { Clock } from "../../store/clock.ts";
import { endMarginMs, takeoverRuns } from "../ledger-store.ts";
import type { LedgerStore, StoredCall, StoredClaim } from "../ledger-store.ts";
import type { EraseSelector, Intent, Ledger, LedgerEntry, Retention } from "../ledger.ts";
import { createResilientLedger } from "../resilient-ledger.ts";
import type { ResilientLedgerOptions } from "../resilient-ledger.ts";

interface MemoryEntry {
  entry: LedgerEntry;
  owner: string;
  attempt: number;
  acquiredAt: number;
  lineage: string;
  retention: Retention | undefined;
  endedAt: number;
}

/** What ledgers in memory share, as replicas share a server. */
export interface MemoryLedgerServer {
  readonly clock: Clock;
  readonly entries: Map<string, MemoryEntry>;
  /** Owners that live. */
  readonly owners: Set<string>;
}

/** Creates a server for ledgers in memory. */
export function createMemoryLedgerServer(clock: Clock = createClock()): MemoryLedgerServer {
  return { clock, entries: new Map(), owners: new Set() };
}

/** A ledger in memory, for tests and for `jackfield/testing`. Closing it abandons what it runs. */
export function createMemoryLedger(
  options: ResilientLedgerOptions & { server?: MemoryLedgerServer; clock?: Clock } = {},
): Ledger {
  const server = options.server ?? createMemoryLedgerServer(options.clock);
  return createResilientLedger(createMemoryLedgerStore(server), options);
}

/** One owner's view of the server. */
export function createMemoryLedgerStore({ clock, entries, owners }: MemoryLedgerServer): LedgerStore {
  const owner = randomUUID();
  owners.add(owner);

  function canTakeOver({ entry, owner: other }: MemoryEntry): boolean {
    if (entry.state !== "running" || owners.has(other)) return false;
    return entry.effect !== "write" || entry.endsAt <= clock();
  }

  function takeOver(known: MemoryEntry, attempt: number): StoredCall {
    known.owner = owner;
    known.attempt = -attempt;
    known.acquiredAt = clock();
    known.entry.endsAt = clock() + takeoverRuns * known.entry.timeoutMs + endMarginMs;
    return { entry: { ...known.entry }, lineage: known.lineage };
  }

  function isHeldBy(known: MemoryEntry, { attempt }: StoredClaim): boolean {
    return known.owner === owner && Math.abs(known.attempt) === attempt;
  }

  function end(known: MemoryEntry, attempt: number, result: ToolResult, retention: Retention): void {
    if (retention === "drop") {
      entries.delete(known.entry.key);
      return;
    }
    const state = result.outcome === Outcome.UNCERTAIN ? "uncertain" : "done";
    known.entry = { ...known.entry, result, state };
    known.owner = owner;
    known.attempt = attempt;
    known.retention = retention;
    known.endedAt = clock();
  }

  function put(intent: Intent, attempt: number, lineage: string): MemoryEntry {
    const now = clock();
    const entry: LedgerEntry = {
      ...intent,
      scope: { ...intent.scope },
      state: "running",
      result: undefined,
      createdAt: now,
      endsAt: now + intent.timeoutMs + endMarginMs,
    };
    const known = { entry, owner, attempt, acquiredAt: now, lineage, retention: undefined, endedAt: 0 };
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
      const running = known.entry.state === "running";
      const ownAttempt = running && known.owner === owner ? known.attempt : undefined;
      if (known.entry.digest !== intent.digest) return { state: "conflict", ownAttempt };
      if (canTakeOver(known)) return { state: "abandoned", ...takeOver(known, attempt) };
      const entry = { ...known.entry };
      return running ? { state: "running", entry, ownAttempt } : { state: "ended", entry };
    },
    async finish(claim, result, retention) {
      const known = entries.get(claim.key);
      if (known === undefined) return "gone";
      const { state } = known.entry;
      const held = isHeldBy(known, claim);
      const settles = state === "uncertain" && known.lineage === claim.lineage && result.outcome !== Outcome.UNCERTAIN;
      if ((state === "running" && held) || settles) end(known, claim.attempt, result, retention);
      else if (!held) return { ...known.entry };
      return "stored";
    },
    async write(intent, { attempt, lineage }, result, retention) {
      const known = entries.get(intent.key);
      if (known !== undefined) return { ...known.entry };
      end(put(intent, attempt, lineage), attempt, result, retention);
      return "stored";
    },
    async release(attempt, key) {
      for (const known of entries.values()) {
        if (known.owner !== owner || known.entry.state !== "running" || Math.abs(known.attempt) !== attempt) continue;
        if (key !== undefined && known.entry.key !== key) continue;
        if (known.attempt > 0) entries.delete(known.entry.key);
        else known.owner = "";
      }
    },
    async restart(claim, timeoutMs) {
      const known = entries.get(claim.key);
      if (known === undefined || known.entry.state !== "running" || !isHeldBy(known, claim))
        return { entry: known && { ...known.entry } };
      known.lineage = `${owner}:${claim.attempt}`;
      known.entry.endsAt = clock() + timeoutMs + endMarginMs;
      return { lineage: known.lineage };
    },
    async running(olderThanMs) {
      const before = clock() - olderThanMs;
      return [...entries.values()]
        .filter((known) => known.owner === owner && known.entry.state === "running" && known.acquiredAt <= before)
        .map(({ entry, attempt }) => ({ key: entry.key, attempt }));
    },
    async recover(limit, attempt) {
      const abandoned = [...entries.values()].filter(canTakeOver).slice(0, limit);
      return abandoned.map((known) => takeOver(known, attempt));
    },
    async find(key) {
      const known = entries.get(key);
      return known && { ...known.entry };
    },
    async erase(selector) {
      const matching = [...entries.values()].filter((known) => matches(known, selector, clock()));
      for (const { entry } of matching) entries.delete(entry.key);
      return matching.length;
    },
    ping: async () => {},
    async close() {
      owners.delete(owner);
    },
  };
}

function matches({ entry, endedAt }: MemoryEntry, selector: EraseSelector, now: number): boolean {
  if (entry.state === "running") return false;
  if ("olderThanMs" in selector) {
    return endedAt <= now - (entry.state === "uncertain" ? selector.uncertainOlderThanMs : selector.olderThanMs);
  }
  return selects(selector, entry.scope);
}
