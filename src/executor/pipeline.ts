import { Effect, Outcome, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../errors.ts";
import type { Execution } from "./execution.ts";
import { acquireSlot, releaseSlot } from "./stages/acquire-slot.ts";
import { checkArguments } from "./stages/check-arguments.ts";
import { continueAbandoned } from "./stages/continue-abandoned.ts";
import { deduplicate } from "./stages/deduplicate.ts";
import { guardRepeats } from "./stages/guard-repeats.ts";
import { invoke } from "./stages/invoke.ts";
import { persistIntent } from "./stages/persist-intent.ts";
import { discardExecution, recordOutcome } from "./stages/record-outcome.ts";
import { reconcileEnd } from "./stages/reconcile-end.ts";
import { resolveTool } from "./stages/resolve-tool.ts";
import { shapeOutput } from "./stages/shape-output.ts";
import type { ExecutorParts, Stage, StageAnswer } from "./stage.ts";
import { errorResult } from "./tool-result.ts";

/** Length of arguments in characters from which the stages that read, copy or write values get turns of their own. */
export const largeArguments = 32_768;

/**
 * Lets other requests have a turn of the event loop before the next stage of a call with large arguments. Each stage
 * may take 20 ms for 262,144 bytes.
 */
const yieldTurn: Stage = ({ argumentsLength }, { ownTurn }) =>
  argumentsLength < largeArguments ? undefined : ownTurn();

/** The first stages of every call, in this order. A call that ends here leaves no record. */
const intake: readonly Stage[] = [
  resolveTool, // UNKNOWN_TOOL, DENIED
  checkArguments, // parses, sanitises and validates them: INVALID_ARGUMENTS
  deduplicate, // joins the running call; the cached answer, CONFLICT
];

/**
 * The stages of an execution that joins no other, in this order. While it waits it is registered, so that the same call
 * joins it. However it ends, its slot is released and its outcome recorded.
 */
const work: readonly Stage[] = [
  acquireSlot, // OVERLOADED
  guardRepeats, // the answer to the same request under another call id
  persistIntent, // the stored answer, CONFLICT
  continueAbandoned, // an abandoned call: the reconciled outcome, UNCERTAIN
  yieldTurn,
  invoke, // CANCELLED before the start
  reconcileEnd, // a write whose end is unknown: the reconciled outcome
  yieldTurn,
  shapeOutput, // OK, INVALID_OUTPUT, FAILED, TIMED_OUT, UNCERTAIN
];

/** Stages that are skipped by a call of which nothing is stored: a `read` of a tool without a repeat window. */
const durable: ReadonlySet<Stage> = new Set([guardRepeats, persistIntent, continueAbandoned, reconcileEnd]);

const workOfRead = work.filter((stage) => !durable.has(stage));

/**
 * Runs a call through the pipeline. Returns synchronously if its tool does and nothing has to be stored. Rejects if the
 * call could not be executed, for example with a LedgerUnavailableError; then the tool's function was not called.
 */
export function runPipeline(execution: Execution, parts: ExecutorParts): ToolResult | Promise<ToolResult> {
  return (runStages(intake, execution, parts) ?? runWork(execution, parts)) as ToolResult | Promise<ToolResult>;
}

/** Runs a call that joins no other. Recovery enters here. */
export function runWork(execution: Execution, parts: ExecutorParts): ToolResult | Promise<ToolResult> {
  try {
    const isStored = execution.effect !== Effect.READ || execution.tool.repeatWindowMs > 0;
    const result = runStages(isStored ? work : workOfRead, execution, parts);
    // Early exit for calls that are answered synchronously. No other call can join them, so registering them would be a
    // waste of 0.5 µs of 9 (bench/pipeline.ts).
    if (!(result instanceof Promise)) return finish(execution, result as ToolResult, parts);
    parts.memory.start(execution);
    return result
      .then((ended) => finish(execution, ended as ToolResult, parts))
      .catch((cause: unknown) => endOnError(execution, cause, parts));
  } catch (cause) {
    return endOnError(execution, cause, parts);
  }
}

/** Runs stages one after the other until one of them returns a result. */
function runStages(stages: readonly Stage[], execution: Execution, parts: ExecutorParts, from = 0): StageAnswer {
  for (let index = from; index < stages.length; index++) {
    const answer = (stages[index] as Stage)(execution, parts);
    if (answer instanceof Promise) {
      return answer.then((result) => result ?? runStages(stages, execution, parts, index + 1));
    }
    if (answer !== undefined) return answer;
  }
  return undefined;
}

function finish(execution: Execution, result: ToolResult, parts: ExecutorParts): ToolResult | Promise<ToolResult> {
  const now = performance.now();
  execution.endedAt = now;
  releaseSlot(execution, now);
  return recordOutcome(execution, result, parts);
}

/**
 * Ends an execution in which our own code or the store failed. Before the tool's function was called, nothing has
 * happened: the intent is discarded and the call rejects. Afterwards the call has an outcome like any other.
 */
async function endOnError(execution: Execution, cause: unknown, parts: ExecutorParts): Promise<ToolResult> {
  execution.error = cause;
  if (execution.startedAt === undefined) {
    releaseSlot(execution, performance.now());
    await discardExecution(execution, parts);
    throw cause;
  }
  const result =
    execution.effect === Effect.WRITE
      ? errorResult(execution, Outcome.UNCERTAIN, modelError("uncertain"))
      : errorResult(execution, Outcome.FAILED, modelError("failed"));
  return finish(execution, { ...result, attempts: 1 }, parts);
}
