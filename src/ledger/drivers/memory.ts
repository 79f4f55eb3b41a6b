import { Outcome } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { createClock } from "../../store/clock.ts";
import type { Clock } from "../../store/clock.ts";
import { LedgerUnavailableError } from "../ledger.ts";
import type { Intent, Retention, Ledger, LedgerEntry } from "../ledger.ts";

interface Held {
  entry: LedgerEntry;
  keep: Retention | undefined;
  endedAt: number;
}

/**
 * A ledger in memory, for tests and for `jackfield/testing`: it survives nothing, and has one owner, so that no entry is
 * ever abandoned.
 */
export function createMemoryLedger(options: { clock?: Clock } = {}): Ledger {
  const clock = options.clock ?? createClock();
  const held = new Map<string, Held>();
  let closed = false;

  function open(): Map<string, Held> {
    if (closed) throw new LedgerUnavailableError("the ledger is closed");
    return held;
  }

  return {
    async begin(intent: Intent) {
      const known = open().get(intent.key);
      if (known === undefined || known.keep === "show") {
        const entry: LedgerEntry = {
          ...intent,
          scope: { ...intent.scope },
          state: "running",
          result: undefined,
          createdAt: clock(),
        };
        held.set(intent.key, { entry, keep: undefined, endedAt: 0 });
        return { state: "new" };
      }
      if (known.entry.digest !== intent.digest) return { state: "conflict" };
      return { state: known.entry.state === "running" ? "running" : "ended", entry: { ...known.entry } };
    },
    async finish(key: string, result: ToolResult, keep: Retention) {
      const known = open().get(key);
      if (known === undefined || known.entry.state !== "running") return;
      if (keep === "drop") {
        held.delete(key);
        return;
      }
      known.entry = { ...known.entry, result, state: result.outcome === Outcome.UNCERTAIN ? "uncertain" : "done" };
      known.keep = keep;
      known.endedAt = clock();
    },
    async find(key: string) {
      const known = open().get(key);
      return known === undefined ? undefined : { ...known.entry };
    },
    async takeOver() {
      open();
      return [];
    },
    async erase(which) {
      const before = "olderThanMs" in which ? clock() - which.olderThanMs : 0;
      let erased = 0;
      for (const [key, { entry, endedAt }] of open()) {
        if (entry.state === "running") continue;
        const matches =
          "olderThanMs" in which
            ? endedAt <= before
            : which.conversationId !== "" &&
              entry.scope.tenant === which.tenant &&
              entry.scope.conversationId === which.conversationId;
        if (!matches) continue;
        held.delete(key);
        erased += 1;
      }
      return erased;
    },
    async ping() {
      open();
    },
    async close() {
      closed = true;
    },
  };
}
