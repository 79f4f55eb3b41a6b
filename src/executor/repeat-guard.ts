import { Effect, Outcome, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../errors.ts";
import { callKey } from "../ledger/call-key.ts";
import type { AbandonedCall, Claim, Ledger, LedgerEntry } from "../ledger/ledger.ts";
import { createClock } from "../store/clock.ts";
import { refused, resultWith } from "./outcome.ts";
import { intentOf, isKept, retentionOf, type Performance, type Performed } from "./perform.ts";

/**
 * The second guard, per tool and off by default: the same conversation, tool and arguments under a new id, within the
 * tool's window, get the first answer. Models ask again after a barge-in, and then the id is another one.
 */
export interface RepeatGuard {
  watches(work: Performance): boolean;
  /** Runs the call, or answers with what the first such call got. Undefined: it runs in another process, ask again. */
  once(work: Performance, run: () => Performed | Promise<Performed>): Promise<Performed | undefined>;
  forgetConversation(tenant: string, conversationId: string): void;
}

interface First {
  readonly work: Performance;
  readonly at: number;
  readonly performed: Promise<Performed | undefined>;
  ended: boolean;
}

const prefix = "repeat ";

/**
 * Creates the guard. It holds within the process for every call, over replicas and restarts for calls that the ledger
 * holds. `most` is how many first calls are kept in memory.
 */
export function createRepeatGuard(ledger: Ledger, most: number, clock = createClock()): RepeatGuard {
  const firsts = new Map<string, First>();

  async function inLedger(
    work: Performance,
    key: string,
    run: () => Performed | Promise<Performed>,
  ): Promise<Performed | undefined> {
    for (;;) {
      const earlier = await ledger.find(key);
      if (earlier?.result !== undefined && clock() < earlier.createdAt + work.tool.repeatWindowMs)
        return repeated(work, earlier.result);
      // An ended entry is kept for show only, so that after the window the key is free again.
      const begun = await ledger.begin(intentOf(work, key));
      if (begun.state === "new") {
        const performed = await run();
        // Without an outcome, as after a stop half-way, the entry stays as it is, like the call's own.
        if (performed.claim !== undefined) await end(begun.claim, performed.result, work.tool.effect, ledger);
        return performed;
      }
      if (begun.state !== "abandoned") return undefined;
      const result = await endAbandonedRepeat(begun, ledger);
      if (result !== undefined) return repeated(work, result);
    }
  }

  return {
    watches: ({ tool, scope }) => tool.repeatWindowMs > 0 && scope.conversationId !== "",

    async once(work, run) {
      const key = repeatKey(work);
      const { effect, repeatWindowMs } = work.tool;
      for (let known = firsts.get(key); known !== undefined; known = firsts.get(key)) {
        if (known.ended && clock() >= known.at + repeatWindowMs) break;
        const performed = await known.performed.catch(() => undefined);
        if (performed !== undefined && retentionOf(performed.result, effect, false) === "replay")
          return repeated(work, performed.result);
        if (firsts.get(key) === known) firsts.delete(key);
      }
      const performed = isKept(work) ? inLedger(work, key, run) : Promise.try(run);
      const first: First = { work, at: clock(), performed, ended: false };
      firsts.delete(key);
      firsts.set(key, first);
      if (firsts.size > most) firsts.delete(firsts.keys().next().value as string);
      try {
        return await performed;
      } finally {
        first.ended = true;
      }
    },

    forgetConversation(tenant, conversationId) {
      for (const [key, { work, ended }] of firsts) {
        if (ended && work.scope.tenant === tenant && work.scope.conversationId === conversationId) firsts.delete(key);
      }
    },
  };
}

/** Tells the guard's entries in the ledger from those of calls. */
export function isRepeatEntry({ key }: LedgerEntry): boolean {
  return key.startsWith(prefix);
}

/**
 * Ends a guard's entry whose owner died, with what became of the call that it stands for: its answer, UNCERTAIN where
 * that is not known yet, or undefined where it left none and may run again.
 */
export async function endAbandonedRepeat(
  { entry, claim }: AbandonedCall,
  ledger: Ledger,
): Promise<ToolResult | undefined> {
  const effect = entry.effect === "write" ? Effect.WRITE : Effect.IDEMPOTENT;
  const call = await ledger.find(callKey(entry.scope, entry.callId) ?? "");
  const name = { callId: entry.callId, name: entry.tool };
  const result =
    call === undefined
      ? refused(name, Outcome.CANCELLED, modelError("cancelled"))
      : (call.result ?? refused(name, Outcome.UNCERTAIN, modelError("uncertain")));
  await end(claim, result, effect, ledger);
  return retentionOf(result, effect, false) === "replay" ? result : undefined;
}

async function end(claim: Claim, result: ToolResult, effect: Effect, ledger: Ledger): Promise<void> {
  await ledger.finish(claim, result, retentionOf(result, effect, false) === "replay" ? "show" : "drop");
}

function repeatKey({ tool, scope, digest }: Performance): string {
  return prefix + JSON.stringify([scope.tenant, scope.source, scope.conversationId, tool.name, digest]);
}

function repeated(work: Performance, result: ToolResult): Performed {
  return { result: resultWith(result, { callId: work.name.callId, replayed: true }), ran: false, claim: undefined };
}
