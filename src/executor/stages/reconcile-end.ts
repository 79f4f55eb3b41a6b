import { setTimeout as pause } from "node:timers/promises";
import { Effect, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { SentRequests } from "../../outbound/sent-requests.ts";
import { IsolateCrashError } from "../../registry/isolate-crash-error.ts";
import type { Execution, RunEnd } from "../execution.ts";
import { reconcile } from "../recovery/reconcile.ts";
import type { ExecutorParts, StageAnswer } from "../stage.ts";
import { attempt, isAuthorsOwn } from "../thrown.ts";

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

/**
 * Whether it is known what became of a run of a `write`. It is where the function returned, where its author says so by a
 * ToolError, and where it failed while nothing that changes anything can have left: no request was sent, or only GET and
 * HEAD, or a downstream answered 4xx. A tool that has never used `http` may have acted in another way.
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

/** Longest pause, in milliseconds, before the author is asked again about a request whose answer never came. */
const maxPauseMs = 5_000;

async function ask(execution: Execution, end: RunEnd, parts: ExecutorParts): Promise<ToolResult | undefined> {
  const asked = askUntilClear(execution, parts);
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

/**
 * Asks the author, and asks again who says "not done" while a downstream may still be working on a request: what it has read
 * it may do after the connection is gone. The pause is half the time that the tool may run.
 */
async function askUntilClear(execution: Execution, parts: ExecutorParts): ReturnType<typeof reconcile> {
  const startedAt = new Date(Date.now() - (performance.now() - (execution.startedAt as number)));
  const found = await reconcile(execution, startedAt, parts);
  if (found !== "not-done" || execution.sent?.mayBeUnderWay !== true) return found;
  await pause(Math.min(execution.tool.timeoutMs / 2, maxPauseMs));
  return reconcile(execution, startedAt, parts);
}

/** Resolves only if a function returns after all. What it throws after its deadline follows from its aborted requests. */
async function returned(late: Promise<RunEnd>): Promise<RunEnd> {
  const end = await late;
  return end.kind === "returned" ? end : new Promise(() => {});
}
