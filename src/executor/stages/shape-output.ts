import { Outcome, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../errors.ts";
import type { Execution, RunEnd } from "../execution.ts";
import type { ExecutorParts } from "../stage.ts";
import { errorResult, resultOfEnd } from "../tool-result.ts";

/** Turns the end of the tool's function into the result that the model reads: checked, redacted and fitted. */
export function shapeOutput(execution: Execution, { limits }: ExecutorParts): ToolResult {
  const result =
    execution.verdict === "unknown"
      ? errorResult(execution, Outcome.UNCERTAIN, modelError("uncertain"))
      : resultOfEnd(execution, execution.end as RunEnd, limits.outputBytes);
  result.attempts = 1;
  return result;
}
