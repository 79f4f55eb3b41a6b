import { Outcome } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { Execution } from "../execution.ts";
import type { StageAnswer } from "../stage.ts";
import { errorResult } from "../tool-result.ts";
import { invalid } from "./parse-arguments.ts";

/** Checks the arguments against the tool's schema. Ends the call with INVALID_ARGUMENTS and every violation. */
export function validate(execution: Execution): StageAnswer {
  const violations = execution.tool.validateInput(execution.args, execution.argumentsBytes);
  if (violations.length === 0) return undefined;
  const { message, violations: listed } = invalid(execution.call.name, [...violations]);
  return errorResult(execution, Outcome.INVALID_ARGUMENTS, message, listed);
}
