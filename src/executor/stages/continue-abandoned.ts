import { Effect, Outcome, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../errors.ts";
import type { AbandonedCall } from "../../ledger/ledger.ts";
import type { Execution } from "../execution.ts";
import { answerOfOther } from "../intent.ts";
import { reconcile } from "../recovery/reconcile.ts";
import type { ExecutorParts, StageAnswer } from "../stage.ts";
import { errorResult } from "../tool-result.ts";
import { releaseSlot } from "./acquire-slot.ts";
import { persistIntent } from "./persist-intent.ts";

/**
 * Continues a call whose process died between intent and outcome. A `read` or `idempotent` call runs again. A `write`
 * may have taken effect: it runs again only if `reconcile` knows that it did not.
 */
export function continueAbandoned(execution: Execution, parts: ExecutorParts): StageAnswer {
  const { abandoned } = execution;
  if (abandoned === undefined || execution.effect !== Effect.WRITE) return undefined;
  return reconcileAbandoned(execution, abandoned, parts);
}

async function reconcileAbandoned(
  execution: Execution,
  { entry, claim }: AbandonedCall,
  parts: ExecutorParts,
): Promise<ToolResult | undefined> {
  const found = await reconcile(execution, new Date(entry.createdAt), parts);
  if (found === undefined) return errorResult(execution, Outcome.UNCERTAIN, modelError("uncertain"));
  if (found !== "not-done") return found;
  const restarted = await parts.ledger.restart(claim, execution.tool.timeoutMs);
  if (restarted.state === "restarted") {
    execution.claim = restarted.claim;
    return undefined;
  }
  // Another process has taken it over in the meantime.
  execution.claim = undefined;
  releaseSlot(execution, performance.now());
  const answer = restarted.entry && (await answerOfOther(execution, restarted.entry, parts.ledger));
  if (answer !== undefined) return answer;
  execution.abandoned = undefined;
  return persistIntent(execution, parts);
}
