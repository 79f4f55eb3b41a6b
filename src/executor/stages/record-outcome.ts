import { Effect, Outcome, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { LedgerEntry, Retention } from "../../ledger/ledger.ts";
import type { Execution } from "../execution.ts";
import { answerOfOther, effectFromName } from "../intent.ts";
import type { CallMemory, ExecutorParts, RecentAnswer } from "../stage.ts";
import { resultOfEnd } from "./shape-output.ts";

/**
 * Ends an execution: makes its outcome durable before any caller gets the answer, and removes it from the running ones.
 * If another process has recorded a different outcome, that one is the answer.
 */
export function recordOutcome(
  execution: Execution,
  result: ToolResult,
  parts: ExecutorParts,
): ToolResult | Promise<ToolResult> {
  result.duration ??= durationFromMs((execution.endedAt as number) - execution.createdAt);
  const { claim, outlivedClaim, guardClaim } = execution;
  const isStored = claim !== undefined || outlivedClaim !== undefined || guardClaim !== undefined;
  return isStored ? store(execution, result, parts) : end(execution, result, parts);
}

async function store(execution: Execution, result: ToolResult, parts: ExecutorParts): Promise<ToolResult> {
  const { ledger } = parts;
  let answer = result;
  const claim = execution.claim ?? (await execution.outlivedClaim);
  if (claim !== undefined && isUntouched(execution, result)) {
    await ledger.release(claim);
  } else if (claim !== undefined && !isStopped(execution)) {
    const finished = await ledger.finish(claim, result, retentionFor(execution, result));
    // DANGER: an answer that is not durable may be a different one after a crash. Until it is durable, callers get
    // PENDING at their answer deadline.
    const recorded = finished.state === "deferred" ? await finished.recorded : finished;
    // A job takes this answer for final: it must not be that another process is still at work.
    if (recorded.state === "superseded") answer = (await answerOfOther(execution, recorded.entry, ledger)) ?? result;
  }
  // The guard's entry of an interrupted call ends with the call, in the process that takes it over.
  if (!isStopped(execution)) await parts.guard.record(execution, answer);
  execution.endedAt = performance.now();
  return end(execution, answer, parts);
}

/** Reports whether the call had no effect, so that its intent can be discarded and the same call may begin again. */
function isUntouched(execution: Execution, result: ToolResult): boolean {
  if (execution.startedAt !== undefined || execution.outlivedClaim !== undefined) return false;
  if (execution.abandoned !== undefined) return result.outcome === Outcome.CANCELLED;
  return execution.repeated === undefined;
}

/**
 * DANGER: an interrupted call may have taken effect and must not be forgotten. Its intent stays without an outcome: the
 * process that takes it over reconciles it, or runs it again if the downstream deduplicates.
 */
function isStopped({ end, isLedgered, effect, verdict }: Execution): boolean {
  if (end?.kind !== "cancelled" || !isLedgered) return false;
  return effect !== Effect.WRITE || verdict === "unknown";
}

/** If the function of a call with an unknown outcome returns after all, its value becomes the outcome. */
async function settleLate(execution: Execution, parts: ExecutorParts): Promise<void> {
  const { end: runEnd } = execution;
  if (runEnd === undefined || !("late" in runEnd)) return;
  const late = await runEnd.late;
  if (late.kind !== "returned") return;
  const result = resultOfEnd(execution, late, parts.limits.outputBytes);
  result.attempts = 1;
  result.duration = durationFromMs(performance.now() - execution.createdAt);
  const claim = execution.claim ?? (await execution.outlivedClaim);
  if (claim !== undefined) await parts.ledger.finish(claim, result, retentionFor(execution, result));
  await parts.guard.record(execution, result);
  parts.memory.settle(execution.lookup, result);
  parts.logOf(execution).info("a call whose outcome was not known has returned after all");
}

function retentionFor(execution: Execution, result: ToolResult): Retention {
  return retentionOf(result, execution.effect, execution.outlived, execution.verdict === "not-done");
}

/**
 * Returns what a result means for repeats of its call: whether it is stored, and who gets it. `isNotDone` means that
 * the tool's `reconcile` knows that a write did not happen.
 */
function retentionOf(
  { outcome, attempts }: Pick<ToolResult, "outcome" | "attempts">,
  effect: Effect,
  outlived: boolean,
  isNotDone = false,
): Retention {
  switch (outcome) {
    case Outcome.OK:
    case Outcome.INVALID_OUTPUT:
    case Outcome.UNCERTAIN:
      return "replay";
    case Outcome.FAILED:
      if (effect === Effect.WRITE && attempts > 0 && !isNotDone) return "replay";
      break;
    default:
  }
  return outlived ? "show" : "drop";
}

/** Reports whether a repeat of the call gets this entry: its answer, or the answer that its run will have. */
export function isReplayable({ result, effect }: LedgerEntry): boolean {
  return result === undefined || retentionOf(result, effectFromName(effect), false) === "replay";
}

/** Returns the call for the memory of those that have ended; undefined if the same call may run again, unknown. */
function recentAnswer(execution: Execution, result: ToolResult, memory: CallMemory): RecentAnswer | undefined {
  const { call, scope, digest, isLedgered, outlived, lookup } = execution;
  // The answer is for the call that had the id first.
  if (result.outcome === Outcome.CONFLICT) return memory.recent(lookup);
  const retention = retentionFor(execution, result);
  const isKnown = retention === "replay" || (retention === "show" && !isLedgered);
  if (!isKnown || (call.id === "" && !outlived)) return undefined;
  return {
    toolName: call.name,
    digest,
    result: isLedgered ? undefined : result,
    replay: retention === "replay",
    scope,
  };
}

function end(execution: Execution, result: ToolResult, parts: ExecutorParts): ToolResult {
  const { memory, guard } = parts;
  memory.end(execution, recentAnswer(execution, result, memory));
  if (execution.tool.repeatWindowMs > 0) guard.settle(execution, result);
  execution.result = result;
  if (result.outcome === Outcome.UNCERTAIN) void settleLate(execution, parts);
  return result;
}

/** Ends an execution that has no result and whose tool's function was not called: its intents are discarded. */
export async function discardExecution(execution: Execution, parts: ExecutorParts): Promise<void> {
  const { memory, guard, ledger } = parts;
  const claim = execution.claim ?? (await execution.outlivedClaim);
  if (claim !== undefined) await ledger.release(claim);
  await guard.record(execution, undefined);
  if (execution.tool.repeatWindowMs > 0) guard.settle(execution, undefined);
  memory.end(execution, memory.recent(execution.lookup));
}

function durationFromMs(ms: number): NonNullable<ToolResult["duration"]> {
  const seconds = Math.floor(ms / 1000);
  return {
    $typeName: "google.protobuf.Duration",
    seconds: seconds === 0 ? 0n : BigInt(seconds),
    nanos: Math.floor((ms - seconds * 1000) * 1e6),
  };
}
