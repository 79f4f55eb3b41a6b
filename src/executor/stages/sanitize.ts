import type { Execution } from "../execution.ts";
import type { StageAnswer } from "../stage.ts";
import { sanitize as clean } from "../../json/sanitize.ts";

/** Cleans the strings of the arguments as the tool asks for it, else as the adapter does. */
export function sanitize(execution: Execution): StageAnswer {
  const mode = execution.tool.sanitize ?? execution.request.caller.sanitize ?? "text";
  execution.args = clean(execution.args, mode, execution.tool.literals);
  return undefined;
}
