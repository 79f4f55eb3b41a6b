import type { ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { Reconciled } from "../../plugin/tool.ts";
import type { Execution } from "../execution.ts";
import type { ExecutorParts } from "../stage.ts";
import { runTool } from "../stages/invoke.ts";
import { resultOfEnd } from "../stages/shape-output.ts";

/**
 * Calls the tool's `reconcile` for a write that began at `startedAt`, under the tool's time limit. Returns its result,
 * `not-done`, or undefined if the outcome stays unknown. Anything but a clear answer counts as unknown.
 */
export async function reconcile(
  execution: Execution,
  startedAt: Date,
  parts: ExecutorParts,
): Promise<ToolResult | "not-done" | undefined> {
  const { tool, args, callId, idempotencyKey } = execution;
  const { reconcile: toolReconcile } = tool;
  if (toolReconcile === undefined) return undefined;
  const { timeoutMs } = tool;
  const input = { args, callId, idempotencyKey, startedAt };
  const end = await runTool(
    toolReconcile,
    input,
    { execution, startsAt: performance.now(), timeoutMs, isRun: false },
    parts,
  );
  if (end.kind === "threw") execution.reconcileError = { reason: end.reason };
  if (end.kind !== "returned") return undefined;
  const found = end.returned as Reconciled | null | undefined;
  if (found === "not-done") return found;
  if (typeof found !== "object" || found === null || !("result" in found)) return undefined;
  return resultOfEnd(execution, { kind: "returned", returned: found.result }, parts.limits.outputBytes);
}
