import { randomUUID } from "node:crypto";
import { Outcome, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../errors.ts";
import { callKey, lookupOf } from "../call-memory.ts";
import type { Execution } from "../execution.ts";
import type { ExecutorParts, StageAnswer } from "../stage.ts";
import { errorResult } from "../tool-result.ts";

/**
 * Joins the same call where it runs in this process, or ends with the answer that is kept of it, or with CONFLICT where the
 * call id was used for something else.
 */
export function deduplicate(execution: Execution, { memory }: ExecutorParts): StageAnswer {
  const { call, scope } = execution;
  const key = callKey(scope, call.id);
  if (key !== undefined) {
    const running = memory.running(key);
    if (running?.answer !== undefined && !running.cancelled) return join(execution, running, running.answer);
    const recent = memory.recent(key);
    if (recent?.replay === true) {
      return recent.digest === execution.digest && recent.toolName === call.name
        ? { ...recent.result, replayed: true }
        : conflict(execution);
    }
  }
  if (call.id === "") execution.callId = randomUUID();
  execution.key = key;
  execution.lookup = key ?? lookupOf(scope, execution.callId);
  return undefined;
}

function join(execution: Execution, running: Execution, answer: Promise<ToolResult>): StageAnswer {
  if (running.content !== execution.content) return conflict(execution);
  execution.joined = running;
  running.listen(execution.request.onProgress);
  return answer;
}

/** The result of a call whose id was used with other arguments, or for another tool. */
export function conflict(execution: Execution): ToolResult {
  return errorResult(execution, Outcome.CONFLICT, modelError("conflict"));
}
