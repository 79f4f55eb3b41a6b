import { Outcome } from "../../../gen/jackfield/v1/tool_pb.ts";
import { allowsTool } from "../../auth/caller.ts";
import { modelError } from "../../errors.ts";
import type { Execution } from "../execution.ts";
import type { ExecutorParts, StageAnswer } from "../stage.ts";
import { errorResult } from "../tool-result.ts";

/** Maximum length of a name that is looked up, in characters. No tool has a longer one. */
const maxNameLength = 128;

/** Finds the tool of a call. Ends the call with UNKNOWN_TOOL, or with DENIED if its caller may not use the tool. */
export function resolveTool(execution: Execution, { registry }: ExecutorParts): StageAnswer {
  const { name } = execution.call;
  const { caller } = execution.request;
  const tool = name.length <= maxNameLength ? registry.get(name, caller.tenant) : undefined;
  if (tool === undefined) return errorResult(execution, Outcome.UNKNOWN_TOOL, modelError("unknown-tool", name));
  if (caller.tools !== undefined && !allowsTool(caller, name)) {
    return errorResult(execution, Outcome.DENIED, modelError("denied", name));
  }
  execution.tool = tool;
  execution.effect = tool.effect;
  return undefined;
}
