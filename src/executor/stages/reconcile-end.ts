import { Effect, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { Execution, RunEnd } from "../execution.ts";
import { isEndKnown } from "../known-end.ts";
import { reconcile } from "../recovery/reconcile.ts";
import type { ExecutorParts, StageAnswer } from "../stage.ts";

/**
 * Finds out what became of a `write` whose function did not end in a known way. Its author is asked; where the function
 * returns meanwhile, that is the answer. What stays unknown is marked so.
 */
export function reconcileEnd(execution: Execution, parts: ExecutorParts): StageAnswer {
  const end = execution.end as RunEnd;
  if (execution.effect !== Effect.WRITE || isEndKnown(end, execution.sent)) return undefined;
  execution.verdict = "unknown";
  // The process is about to end: the next one asks.
  return end.kind === "cancelled" ? undefined : ask(execution, end, parts);
}

async function ask(execution: Execution, end: RunEnd, parts: ExecutorParts): Promise<ToolResult | undefined> {
  const startedAt = new Date(Date.now() - (performance.now() - (execution.startedAt as number)));
  const asked = reconcile(execution, startedAt, parts);
  const found = await ("late" in end ? Promise.race([asked, returned(end.late)]) : asked);
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

/** Resolves only if a function returns after all. What it throws after its deadline follows from its aborted requests. */
async function returned(late: Promise<RunEnd>): Promise<RunEnd> {
  const end = await late;
  return end.kind === "returned" ? end : new Promise(() => {});
}
