import { Outcome, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../errors.ts";
import { parseJson } from "../json/exact-number.ts";
import { fits, shortenJson, shortenText, type TextLimit } from "../json/shorten.ts";

/** Outcomes of calls that never started. */
const neverRan: ReadonlySet<Outcome> = new Set([
  Outcome.UNKNOWN_TOOL,
  Outcome.INVALID_ARGUMENTS,
  Outcome.OVERLOADED,
  Outcome.CANCELLED,
  Outcome.DENIED,
  Outcome.CONFLICT,
]);

/** Messages that need no prefix. */
const plain: ReadonlySet<string> = new Set([
  modelError("failed"),
  modelError("not-serializable"),
  modelError("pending-read"),
  modelError("pending-write"),
]);

/** Returns the content of the tool message for a result, at most `maxCharacters` code points long. */
export function contentOf(result: ToolResult, maxCharacters: number): string {
  const limit: TextLimit = { max: maxCharacters, unit: "characters" };
  if (result.outcome !== Outcome.OK) return shortenText(describeResult(result), limit);
  const { output, value } = result;
  if (value?.kind.case === "stringValue" && value.kind.value === output) return shortenText(output, limit);
  return fits(output, limit) ? output : shortenJson(parseJson(output), limit);
}

/** Returns the reason why a call has no good answer, without the prefix that states whether it ran. */
export function problemOf(result: ToolResult): string {
  const { message = result.output, violations = [] } = result.error ?? {};
  if (result.outcome !== Outcome.INVALID_ARGUMENTS || violations.length === 0) return message;
  const list = violations.map((problem) => `${problem.path}: ${problem.message}`).join(", ");
  return `Tool input validation failed for ${result.name}: ${list}`;
}

function describeResult(result: ToolResult): string {
  const problem = problemOf(result);
  if (neverRan.has(result.outcome)) return `Execution error: ${problem}`;
  return plain.has(problem) ? problem : `Error: ${problem}`;
}
