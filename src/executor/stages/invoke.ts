import { Outcome } from "../../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../errors.ts";
import type { Execution, RunEnd } from "../execution.ts";
import type { ExecutorParts, StageAnswer } from "../stage.ts";
import { runTool } from "../run.ts";
import { ToolContext } from "../tool-context.ts";
import { errorResult } from "../tool-result.ts";

/** Calls the tool's function under its execution deadline. */
export function invoke(execution: Execution, parts: ExecutorParts): StageAnswer {
  if (execution.cancelled) return errorResult(execution, Outcome.CANCELLED, modelError("cancelled"));
  const { tool, args } = execution;
  const context = new ToolContext(execution, tool.timeoutMs, parts);
  execution.startedAt = performance.now();
  const end = runTool(() => tool.run(args, context), tool.timeoutMs, execution, context);
  if (end instanceof Promise) return end.then((ended) => keep(execution, ended));
  return keep(execution, end);
}

function keep(execution: Execution, end: RunEnd): undefined {
  execution.end = end;
  return undefined;
}
