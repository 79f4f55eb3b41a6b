import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { StoredClaim } from "./ledger-store.ts";
import type { Intent } from "./ledger.ts";

/** An outcome that the store has acknowledged. */
export interface RecentOutcome {
  readonly intent: Intent;
  readonly claim: StoredClaim;
  readonly result: ToolResult;
}

/** Recently stored outcomes, which a server may lose in a fail-over. */
export interface RecentOutcomes {
  remember(outcome: RecentOutcome): void;
  /** Returns the outcome of a key while it is cached. */
  get(key: string): RecentOutcome | undefined;
  forget(key: string): void;
  forgetAll(): void;
  all(): RecentOutcome[];
}

/** Maximum number of cached outcomes. */
const maxCached = 10_000;
/** Maximum total size of their arguments and answers, in characters. */
const maxSize = 16_777_216;

/** Caches outcomes for `rememberMs` milliseconds, which must exceed the lag of a server's replica. */
export function createRecentOutcomes(rememberMs: number, now: () => number): RecentOutcomes {
  const recent = new Map<string, { outcome: RecentOutcome; size: number; at: number }>();
  let total = 0;
  let timer: NodeJS.Timeout | undefined;

  function forget(key: string): void {
    total -= recent.get(key)?.size ?? 0;
    recent.delete(key);
  }

  /** Evicts the oldest first: an entry that is set again moves to the end. */
  function trim(): void {
    for (const [key, { at }] of recent) {
      if (recent.size <= maxCached && total <= maxSize && now() - at <= rememberMs) return;
      forget(key);
    }
  }

  /** Trims as soon as the oldest is too old, so that nothing is kept for longer. */
  function trimInTime(): void {
    if (timer !== undefined) return;
    const [oldest] = recent.values();
    if (oldest === undefined) return;
    const onTime = (): void => {
      timer = undefined;
      trim();
      trimInTime();
    };
    timer = setTimeout(onTime, oldest.at + rememberMs - now() + 1).unref();
  }

  return {
    remember(outcome) {
      const { intent, result } = outcome;
      forget(intent.key);
      const size = intent.argumentsJson.length + result.output.length;
      recent.set(intent.key, { outcome, size, at: now() });
      total += size;
      trim();
      trimInTime();
    },
    get(key) {
      trim();
      return recent.get(key)?.outcome;
    },
    forget,
    forgetAll() {
      recent.clear();
      total = 0;
    },
    all() {
      trim();
      return [...recent.values()].map(({ outcome }) => outcome);
    },
  };
}
