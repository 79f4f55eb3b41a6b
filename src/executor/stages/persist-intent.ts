import type { ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { createBackoff } from "../backoff.ts";
import type { Execution } from "../execution.ts";
import { effectFromName, intentOf, storedAnswer } from "../intent.ts";
import type { ExecutorParts, StageAnswer } from "../stage.ts";
import { acquireSlot, releaseSlot } from "./acquire-slot.ts";
import { conflict } from "./deduplicate.ts";

/**
 * Makes the intent of a keyed call that changes something durable, before its tool's function is called. Ends the call
 * with the stored answer, or with CONFLICT. Rejects with a LedgerUnavailableError; then nothing has been executed.
 */
export function persistIntent(execution: Execution, parts: ExecutorParts): StageAnswer {
  // An abandoned call comes with its claim.
  return execution.abandoned === undefined && execution.isLedgered ? begin(execution, parts) : undefined;
}

async function begin(execution: Execution, parts: ExecutorParts): Promise<ToolResult | undefined> {
  let backoff: ReturnType<typeof createBackoff> | undefined;
  for (;;) {
    if (execution.slots === undefined) {
      const refused = await acquireSlot(execution, parts);
      if (refused !== undefined) return refused;
    }
    const begun = await parts.ledger.begin(intentOf(execution, execution.lookup));
    switch (begun.state) {
      case "new":
        execution.claim = begun.claim;
        return execution.isKeyTaken ? conflict(execution) : execution.repeated;
      case "abandoned":
        execution.claim = begun.claim;
        execution.abandoned = begun;
        execution.effect = effectFromName(begun.entry.effect);
        return undefined;
      case "conflict":
        return conflict(execution);
      case "ended":
        return storedAnswer(execution, begun.entry);
      case "running":
        // It runs in another process. Waiting for it must not occupy a slot here.
        releaseSlot(execution, performance.now());
        await (backoff ??= createBackoff())();
    }
  }
}
