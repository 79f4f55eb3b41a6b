import { setTimeout as pause } from "node:timers/promises";
import { Effect, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { SentRequests } from "../../outbound/sent-requests.ts";
import { IsolateCrashError } from "../../registry/isolate-crash-error.ts";
import type { Execution, RunEnd } from "../execution.ts";
import { reconcile } from "../recovery/reconcile.ts";
import type { ExecutorParts, StageAnswer } from "../stage.ts";
import { attempt, isAuthorsOwn } from "../thrown.ts";

/**
 * Finds out the outcome of a `write` whose function did not end in a known way. The tool's `reconcile` is called; if
 * the function returns in the meantime, its value counts. If the outcome stays unknown, the execution is marked so.
 */
export function reconcileEnd(execution: Execution, parts: ExecutorParts): StageAnswer {
  const end = execution.end as RunEnd;
  if (execution.effect !== Effect.WRITE || isEndKnown(end, execution.sent)) return undefined;
  execution.verdict = "unknown";
  // The process is about to end: the next one reconciles the call.
  return end.kind === "cancelled" ? undefined : reconcileOutcome(execution, end, parts);
}

/**
 * Reports whether it is known what a run of a `write` did. It is known if the function returned, if it threw a
 * ToolError, or if it failed and no request that changes anything can have left: it sent no request, only GET and HEAD,
 * or a downstream answered 4xx. A tool that has never used `http` may have acted in another way.
 */
function isEndKnown(end: RunEnd, sent: SentRequests | undefined): boolean {
  if (end.kind === "returned") return true;
  // A function that has not ended can still act.
  if (end.kind !== "threw") return false;
  const isHarmless = sent?.used === true && !sent.mayHaveChanged;
  return isHarmless ? !isCrash(end.reason) : isAuthorsOwn(end.reason);
}

function isCrash(reason: unknown): boolean {
  return attempt(() => reason instanceof IsolateCrashError) === true;
}

/** Maximum pause before `reconcile` is called again about a request that was never answered, in milliseconds. */
const maxPauseMs = 5_000;

async function reconcileOutcome(
  execution: Execution,
  end: RunEnd,
  parts: ExecutorParts,
): Promise<ToolResult | undefined> {
  const reconciled = reconcileUntilClear(execution, parts);
  const found = await ("late" in end ? Promise.race([reconciled, returned(end.late)]) : reconciled);
  if (found === undefined) return undefined;
  if (found === "not-done") {
    execution.verdict = "not-done";
    return undefined;
  }
  execution.verdict = undefined;
  if ("kind" in found) {
    execution.end = found;
    return undefined;
  }
  return { ...found, attempts: 1 };
}

/**
 * Calls `reconcile`, and calls it again if it returns "not done" while a downstream may still be working on a request:
 * a downstream may execute what it has read even after the connection is gone. The pause is half the tool's time limit.
 */
async function reconcileUntilClear(execution: Execution, parts: ExecutorParts): ReturnType<typeof reconcile> {
  const startedAt = new Date(Date.now() - (performance.now() - (execution.startedAt as number)));
  const found = await reconcile(execution, startedAt, parts);
  if (found !== "not-done" || execution.sent?.mayBeUnderWay !== true) return found;
  await pause(Math.min(execution.tool.timeoutMs / 2, maxPauseMs));
  return reconcile(execution, startedAt, parts);
}

/**
 * Resolves only if a function returns after all. An error that it throws after its deadline follows from its aborted
 * requests.
 */
async function returned(late: Promise<RunEnd>): Promise<RunEnd> {
  const end = await late;
  return end.kind === "returned" ? end : new Promise(() => {});
}
