import { Effect, Outcome, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../errors.ts";
import type { Pacer } from "../../timing.ts";
import { createBackoff } from "../backoff.ts";
import type { Execution } from "../execution.ts";
import { storedAnswer } from "../intent.ts";
import type { CompiledTool } from "../../registry/registry.ts";
import type { ExecutorParts, SlotRefusal, SlotsOf, StageAnswer, ToolSlots } from "../stage.ts";
import { errorResult } from "../tool-result.ts";
import { conflict } from "./deduplicate.ts";
import { isReplayable } from "./record-outcome.ts";

/**
 * Takes one of the tool's slots, or waits in its queue. Ends the call with OVERLOADED, or with FAILED if the tool
 * cannot work.
 */
export function acquireSlot(execution: Execution, parts: ExecutorParts): StageAnswer {
  const refusal = tryAcquire(execution, parts);
  return refusal === undefined ? undefined : untilSlot(execution, refusal, parts);
}

/** Frees the slot of an execution, if it has one. `now` is a `performance.now()` value. */
export function releaseSlot(execution: Execution, now: number): void {
  const { slots, startedAt } = execution;
  if (slots === undefined) return;
  execution.slots = undefined;
  slots.release(startedAt === undefined ? undefined : now - startedAt);
}

type Refusal = SlotRefusal | "not-ready";

function tryAcquire(execution: Execution, { slotsOf }: ExecutorParts): Refusal | Promise<SlotRefusal> {
  const { tool } = execution;
  if (tool.problem !== undefined) return "not-ready";
  const slots = slotsOf(tool);
  const refusal = slots.acquire(tool, execution);
  if (refusal === undefined) execution.slots = slots;
  if (!(refusal instanceof Promise)) return refusal;
  return refusal.then((refused) => {
    if (refused === undefined) execution.slots = slots;
    return refused;
  });
}

/** Retries while the call runs in another process. An abandoned call waits until there is a slot. */
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
      // A call that has its answer needs no slot. A call that runs in another process is waited for.
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
  // While its tool does not work, nobody can find out whether an abandoned write took effect.
  return execution.abandoned !== undefined && execution.effect === Effect.WRITE
    ? errorResult(execution, Outcome.UNCERTAIN, modelError("uncertain"))
    : errorResult(execution, Outcome.FAILED, modelError("tool-not-ready", execution.tool.name));
}

/**
 * Creates the slots of all tools. `paceEnds` paces calls that leave a queue, `paceStarts` those that get a slot: these
 * must not wait until all others have left.
 */
export function createSlots(paceEnds: Pacer, paceStarts: Pacer): SlotsOf {
  const byName = new Map<string, ToolSlots>();
  return ({ name, tenant }) => {
    const key = tenant === undefined ? name : `${tenant}/${name}`;
    let slots = byName.get(key);
    if (slots === undefined) byName.set(key, (slots = createToolSlots(paceEnds, paceStarts)));
    return slots;
  };
}

/** Maximum time that a refusal asks the caller to wait, in seconds. */
const maxRetryAfterSeconds = 60;

function createToolSlots(paceEnds: Pacer, paceStarts: Pacer): ToolSlots {
  let running = 0;
  const queue: (() => void)[] = [];
  // Moving average of the duration of an execution, in milliseconds.
  let averageMs = 0;

  function refusal(tool: CompiledTool): SlotRefusal {
    const seconds = Math.ceil((averageMs * (queue.length + 1)) / Math.max(1, tool.concurrency) / 1000);
    return { retryAfterSeconds: Math.min(maxRetryAfterSeconds, Math.max(1, seconds)) };
  }

  function enqueue(tool: CompiledTool, execution: Pick<Execution, "onCancel">): Promise<SlotRefusal> {
    return new Promise((resolve) => {
      const settle = (answer: SlotRefusal): void => {
        clearTimeout(timer);
        resolve(answer);
      };
      const enter = (): void => settle(undefined);
      const leave = (): void => {
        const position = queue.indexOf(enter);
        if (position < 0) return;
        queue.splice(position, 1);
        settle(refusal(tool));
      };
      queue.push(enter);
      // After this time nobody would benefit from a slot.
      const timer = setTimeout(() => paceEnds(leave), tool.timeoutMs);
      execution.onCancel(leave);
    });
  }

  // Paced, because while the tool fails at once, as with an open circuit breaker, each waiting call would end and start
  // the next one in the same turn of the event loop.
  function handOver(): void {
    const enter = queue.shift();
    if (enter === undefined) running--;
    else enter();
  }

  return {
    acquire(tool, execution) {
      if (running < tool.concurrency) {
        running++;
        return undefined;
      }
      return queue.length >= tool.queue ? refusal(tool) : enqueue(tool, execution);
    },
    release(ms) {
      if (ms !== undefined) averageMs += (ms - averageMs) / 8;
      if (queue.length === 0) running--;
      else paceStarts(handOver);
    },
  };
}
