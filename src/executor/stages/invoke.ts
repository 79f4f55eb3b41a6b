import { Outcome, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../errors.ts";
import { LedgerUnavailableError } from "../../ledger/ledger.ts";
import type { Execution, RunEnd } from "../execution.ts";
import { isNotStarted } from "../known-end.ts";
import type { ExecutorParts, StageAnswer } from "../stage.ts";
import { runTool } from "../run.ts";
import { ToolContext } from "../tool-context.ts";
import { errorResult } from "../tool-result.ts";

/**
 * Calls the tool's function under its execution deadline, which counts from here. DANGER: where the process stood still since
 * the intent was stored, another one may be about to take the call over: then the function is not called.
 */
export function invoke(execution: Execution, parts: ExecutorParts): StageAnswer {
  if (execution.cancelled) return errorResult(execution, Outcome.CANCELLED, modelError("cancelled"));
  const { tool, args, claim } = execution;
  const now = performance.now();
  const timeoutMs = claim === undefined ? tool.timeoutMs : Math.min(tool.timeoutMs, claim.sendUntil - now);
  if (timeoutMs <= 0) throw new LedgerUnavailableError("the intent was stored too long ago for the call to run");
  const context = new ToolContext(execution, now + timeoutMs, true, parts);
  execution.startedAt = now;
  const end = runTool(() => tool.run(args, context), timeoutMs, execution, context);
  if (end instanceof Promise) return end.then((ended) => keep(execution, ended));
  return keep(execution, end);
}

function keep(execution: Execution, end: RunEnd): ToolResult | undefined {
  execution.end = end;
  if (!isNotStarted(end)) return undefined;
  execution.startedAt = undefined;
  return errorResult(execution, Outcome.FAILED, modelError("tool-not-ready", execution.tool.name));
}
