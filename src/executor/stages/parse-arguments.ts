import { Outcome } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { Execution } from "../execution.ts";
import { parseArguments as parse } from "../parse-arguments.ts";
import type { ExecutorParts, StageAnswer } from "../stage.ts";
import { errorResult } from "../tool-result.ts";

/** Reads the arguments, text or object, under the same rules on every path. Ends the call with INVALID_ARGUMENTS. */
export function parseArguments(execution: Execution, { limits }: ExecutorParts): StageAnswer {
  const parsed = parse(execution.call, limits);
  if ("violations" in parsed) {
    return errorResult(execution, Outcome.INVALID_ARGUMENTS, parsed.message, parsed.violations);
  }
  execution.args = parsed.value;
  execution.argumentsBytes = parsed.json.length;
  execution.digest = parsed.digest;
  return undefined;
}
