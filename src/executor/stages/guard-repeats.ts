import type { Execution } from "../execution.ts";
import type { ExecutorParts, StageAnswer } from "../stage.ts";

/**
 * For a tool with a repeat window: finds the answer to the same request under another call id, or registers this one. A
 * call that the ledger holds is answered by `persistIntent`, once its own intent is stored.
 */
export function guardRepeats(execution: Execution, { guard }: ExecutorParts): StageAnswer {
  const { tool, scope, abandoned } = execution;
  // What a dead process had begun was registered by it.
  if (tool.repeatWindowMs === 0 || scope.conversationId === "" || abandoned !== undefined) return undefined;
  const checked = guard.check(execution);
  return execution.isLedgered ? checked : checked?.then(() => execution.repeated);
}
