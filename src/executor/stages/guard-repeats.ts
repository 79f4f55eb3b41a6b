import type { Execution } from "../execution.ts";
import type { ExecutorParts, StageAnswer } from "../stage.ts";

/** For a tool with a repeat window: finds the answer to the same request under another call id, or registers this one. */
export function guardRepeats(execution: Execution, { guard }: ExecutorParts): StageAnswer {
  if (execution.tool.repeatWindowMs === 0 || execution.scope.conversationId === "") return undefined;
  // What a dead process had begun was registered by it.
  return execution.abandoned === undefined ? guard.check(execution) : undefined;
}
