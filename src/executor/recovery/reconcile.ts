import type { ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { Reconciled } from "../../plugin/tool.ts";
import type { Execution } from "../execution.ts";
import type { ExecutorParts } from "../stage.ts";
import { runTool } from "../stages/invoke.ts";
import { resultOfEnd } from "../stages/shape-output.ts";
import { ToolContext } from "../tool-context.ts";

/**
 * Asks the tool's author what became of a write that began at `startedAt`, no longer than the tool may run: its result, `not-done`, or undefined where
 * that is not known. Anything but a clear answer is not known.
 */
export async function reconcile(
  execution: Execution,
  startedAt: Date,
  parts: ExecutorParts,
): Promise<ToolResult | "not-done" | undefined> {
  const { tool, args, callId, idempotencyKey } = execution;
  const { reconcile: ask } = tool;
  if (ask === undefined) return undefined;
  const context = new ToolContext(execution, performance.now() + tool.timeoutMs, false, parts);
  const end = await runTool(
    ask,
    { args, callId, idempotencyKey, startedAt },
    tool.timeoutMs,
    execution,
    context,
    parts.pace,
  );
  if (end.kind === "threw") execution.reconcileError = { reason: end.reason };
  if (end.kind !== "returned") return undefined;
  const found = end.returned as Reconciled | null | undefined;
  if (found === "not-done") return found;
  if (typeof found !== "object" || found === null || !("result" in found)) return undefined;
  return resultOfEnd(execution, { kind: "returned", returned: found.result }, parts.limits.outputBytes);
}
