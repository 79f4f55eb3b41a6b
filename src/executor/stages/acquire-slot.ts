import { Effect, Outcome, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../errors.ts";
import { createBackoff } from "../backoff.ts";
import type { Execution } from "../execution.ts";
import { storedAnswer } from "../intent.ts";
import type { ExecutorParts, StageAnswer } from "../stage.ts";
import { errorResult } from "../tool-result.ts";
import type { SlotRefusal } from "../tool-slots.ts";
import { conflict } from "./deduplicate.ts";
import { isReplayable } from "./record-outcome.ts";

/** Takes one of the tool's slots, or waits in its queue. Ends the call with OVERLOADED, or FAILED where the tool cannot work. */
export function acquireSlot(execution: Execution, parts: ExecutorParts): StageAnswer {
  const refusal = tryAcquire(execution, parts);
  return refusal === undefined ? undefined : untilSlot(execution, refusal, parts);
}

type Refusal = SlotRefusal | "not-ready";

function tryAcquire(execution: Execution, { slotsOf }: ExecutorParts): Refusal | Promise<SlotRefusal> {
  const { tool } = execution;
  if (tool.fault !== undefined) return "not-ready";
  const slots = slotsOf(tool);
  const refusal = slots.acquire(tool, execution);
  if (refusal === undefined) execution.slots = slots;
  if (!(refusal instanceof Promise)) return refusal;
  return refusal.then((refused) => {
    if (refused === undefined) execution.slots = slots;
    return refused;
  });
}

/** Tries again while the call runs elsewhere, or, where it is one that a dead process left, until there is a slot. */
async function untilSlot(
  execution: Execution,
  first: Refusal | Promise<SlotRefusal>,
  parts: ExecutorParts,
): Promise<ToolResult | undefined> {
  let refusing: Refusal | Promise<SlotRefusal> = first;
  const backoff = createBackoff();
  for (;;) {
    const refusal = await refusing;
    if (refusal === undefined) return undefined;
    if (execution.cancelled) return errorResult(execution, Outcome.CANCELLED, modelError("cancelled"));
    if (execution.abandoned === undefined) {
      // A call that has its answer needs no slot, and one that runs elsewhere is waited for.
      const entry = execution.isLedgered ? await parts.ledger.find(execution.lookup) : undefined;
      if (entry === undefined || !isReplayable(entry)) return refused(execution, refusal);
      if (entry.digest !== execution.content) return conflict(execution);
      if (entry.result !== undefined) return storedAnswer(execution, entry);
    } else if (refusal === "not-ready") {
      return refused(execution, refusal);
    }
    await backoff();
    refusing = tryAcquire(execution, parts);
  }
}

function refused(execution: Execution, refusal: Exclude<Refusal, undefined>): ToolResult {
  if (refusal !== "not-ready") {
    return errorResult(execution, Outcome.OVERLOADED, modelError("overloaded", refusal.retryAfterSeconds));
  }
  // Nobody can ask what became of a write of a dead process while its tool does not work.
  return execution.abandoned !== undefined && execution.effect === Effect.WRITE
    ? errorResult(execution, Outcome.UNCERTAIN, modelError("uncertain"))
    : errorResult(execution, Outcome.FAILED, modelError("tool-not-ready", execution.tool.name));
}
