import { Outcome, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../errors.ts";
import type { AbandonedCall, Ledger, LedgerEntry } from "../../ledger/ledger.ts";
import { selects } from "../../ledger/selects.ts";
import { createClock } from "../../store/clock.ts";
import { createBackoff } from "../backoff.ts";
import type { Execution } from "../execution.ts";
import { intentOf } from "../intent.ts";
import type { ExecutorParts, RepeatGuard, StageAnswer } from "../stage.ts";
import { errorResult } from "../tool-result.ts";
import { callKey } from "./deduplicate.ts";

/**
 * For a tool with a repeat window: finds the answer to the same request under another call id, or registers this
 * request. A call with a ledger entry is answered by `persistIntent`, after its own intent is stored.
 */
export function guardRepeats(execution: Execution, { guard }: ExecutorParts): StageAnswer {
  const { tool, scope, abandoned } = execution;
  // An abandoned call was registered by the process that died.
  if (tool.repeatWindowMs === 0 || scope.conversationId === "" || abandoned !== undefined) return undefined;
  const checked = guard.check(execution);
  return execution.isLedgered ? checked : checked?.then(() => execution.repeated);
}

/** The first request of its kind in this process. */
interface First {
  readonly execution: Execution;
  /** Start of its window, by the guard's clock. */
  readonly at: number;
  readonly result: Promise<ToolResult | undefined>;
  readonly resolve: (result: ToolResult | undefined) => void;
  ended: boolean;
}

const prefix = "repeat ";

/**
 * Creates the guard. It covers every call within the process, and calls in the ledger also across replicas and
 * restarts. `maxFirsts` limits the number of first requests in memory.
 */
export function createRepeatGuard(ledger: Ledger, maxFirsts: number, clock = createClock()): RepeatGuard {
  const firsts = new Map<string, First>();

  function register(key: string, execution: Execution): void {
    const { promise: result, resolve } = Promise.withResolvers<ToolResult | undefined>();
    firsts.delete(key);
    firsts.set(key, { execution, at: clock(), result, resolve, ended: false });
    if (firsts.size > maxFirsts) firsts.delete(firsts.keys().next().value as string);
  }

  async function checkMemory(execution: Execution, key: string): Promise<undefined> {
    const { repeatWindowMs } = execution.tool;
    for (let known = firsts.get(key); known !== undefined; known = firsts.get(key)) {
      if (known.ended && clock() >= known.at + repeatWindowMs) break;
      const result = await known.result;
      if (result !== undefined && isRepeatable(result)) {
        execution.repeated = repeated(execution, result);
        return;
      }
      if (firsts.get(key) === known) firsts.delete(key);
    }
    register(key, execution);
    if (execution.isLedgered) await checkLedger(execution, key);
  }

  async function checkLedger(execution: Execution, key: string): Promise<void> {
    const backoff = createBackoff();
    while (!execution.cancelled) {
      const earlier = await ledger.find(key);
      const isRecent = earlier !== undefined && clock() < earlier.createdAt + execution.tool.repeatWindowMs;
      if (isRecent && earlier.result !== undefined && isRepeatable(earlier.result)) {
        execution.repeated = repeated(execution, earlier.result);
        return;
      }
      // An ended entry is not replayed by the ledger, so that the key is free again after the window.
      const begun = await ledger.begin(intentOf(execution, key));
      if (begun.state === "new") {
        execution.guardClaim = begun.claim;
        return;
      }
      if (begun.state === "abandoned") {
        // Released, the entry could not be taken over again before another run of the call would have ended.
        const result = await endAbandonedGuard(begun, ledger, () => !execution.cancelled);
        if (result !== undefined) {
          execution.repeated = repeated(execution, result);
          return;
        }
      }
      await backoff();
    }
  }

  return {
    check(execution) {
      const key = guardKey(execution);
      if (execution.isLedgered || firsts.has(key)) return checkMemory(execution, key);
      register(key, execution);
      return undefined;
    },

    async record({ guardClaim }, result) {
      if (guardClaim === undefined) return;
      if (result === undefined) await ledger.release(guardClaim);
      else await ledger.finish(guardClaim, result, isRepeatable(result) ? "show" : "drop");
    },

    settle(execution, result) {
      const key = guardKey(execution);
      const first = firsts.get(key);
      if (first?.execution !== execution) return;
      first.ended = true;
      first.resolve(result);
      // Only the ledger knows the window of an answer that another replica gave.
      if (execution.startedAt === undefined) firsts.delete(key);
    },

    forget(selector) {
      for (const [key, { execution, ended }] of firsts) {
        if (ended && (selector === "all" || selects(selector, execution.scope))) firsts.delete(key);
      }
    },
  };
}

/** Distinguishes the guard's entries in the ledger from those of calls. */
export function isGuardEntry({ key }: LedgerEntry): boolean {
  return key.startsWith(prefix);
}

/**
 * Ends a guard's entry whose owner died, with the answer of the call that it represents, or with undefined if the call
 * left none and may run again. While the call itself is not settled, waits as long as `isWaiting`; then the entry stays
 * open.
 */
export async function endAbandonedGuard(
  { entry, claim }: AbandonedCall,
  ledger: Ledger,
  isWaiting: () => boolean,
): Promise<ToolResult | undefined> {
  const key = callKey(entry.scope, entry.callId) ?? "";
  const backoff = createBackoff();
  let call = await ledger.find(key);
  while (call?.state === "running") {
    if (!isWaiting()) {
      await ledger.release(claim);
      return undefined;
    }
    await backoff();
    call = await ledger.find(key);
  }
  const name = { call: { id: entry.callId, name: entry.tool } };
  const result = call?.result ?? errorResult(name, Outcome.CANCELLED, modelError("cancelled"));
  await ledger.finish(claim, result, isRepeatable(result) ? "show" : "drop");
  return isRepeatable(result) ? result : undefined;
}

/**
 * Reports whether the same request under another id gets this answer: any answer of a call that may have had an effect.
 */
function isRepeatable({ outcome }: ToolResult): boolean {
  return outcome === Outcome.OK || outcome === Outcome.INVALID_OUTPUT || outcome === Outcome.UNCERTAIN;
}

function guardKey({ tool, scope, digest }: Execution): string {
  return prefix + JSON.stringify([scope.tenant, scope.source, scope.conversationId, tool.name, digest]);
}

function repeated({ call }: Execution, result: ToolResult): ToolResult {
  return { ...result, callId: call.id, replayed: true };
}
