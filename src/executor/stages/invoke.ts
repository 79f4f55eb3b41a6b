import { Outcome, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../errors.ts";
import { LedgerUnavailableError } from "../../ledger/ledger.ts";
import type { Pacer } from "../../timing.ts";
import type { Execution, RunEnd } from "../execution.ts";
import { PluginError } from "../../registry/plugin-error.ts";
import type { ExecutorParts, StageAnswer } from "../stage.ts";
import { attempt } from "../thrown.ts";
import { ToolContext } from "../tool-context.ts";
import { errorResult } from "../tool-result.ts";

/**
 * Calls the tool's function under its execution deadline, which counts from here. DANGER: where the process stood still since
 * the intent was stored, another one may be about to take the call over: then the function is not called.
 */
export function invoke(execution: Execution, parts: ExecutorParts): StageAnswer {
  if (execution.cancelled) return errorResult(execution, Outcome.CANCELLED, modelError("cancelled"));
  const { tool, args, claim } = execution;
  const now = performance.now();
  const timeoutMs = claim === undefined ? tool.timeoutMs : Math.min(tool.timeoutMs, claim.sendUntil - now);
  if (timeoutMs <= 0) throw new LedgerUnavailableError("the intent was stored too long ago for the call to run");
  execution.startedAt = now;
  const end = runTool(tool.run, args, { execution, timeoutMs, isRun: true }, parts);
  if (end instanceof Promise) return end.then((ended) => keep(execution, ended));
  return keep(execution, end);
}

function keep(execution: Execution, end: RunEnd): ToolResult | undefined {
  execution.end = end;
  if (!isNotStarted(end)) return undefined;
  execution.startedAt = undefined;
  return errorResult(execution, Outcome.FAILED, modelError("tool-not-ready", execution.tool.name));
}

/** Whether a run ended before the tool's function was called: an isolated tool could not be started. */
function isNotStarted(end: RunEnd): boolean {
  return end.kind === "threw" && attempt(() => end.reason instanceof PluginError) === true;
}

/** What a function of a tool is run for. */
interface RunScope {
  readonly execution: Execution;
  /** Its deadline in milliseconds. */
  readonly timeoutMs: number;
  /** Whether this is the run of the call, whose requests decide what may have happened. */
  readonly isRun: boolean;
}

/**
 * Runs a function of a tool under a deadline. At the deadline, or when the execution is cancelled, the context's signal
 * fires and the run is over. Answers synchronously where the function does.
 */
export function runTool<Input>(
  run: (input: Input, context: ToolContext) => unknown,
  input: Input,
  { execution, timeoutMs, isRun }: RunScope,
  parts: ExecutorParts,
): RunEnd | Promise<RunEnd> {
  const context = new ToolContext(execution, performance.now() + timeoutMs, isRun, parts);
  try {
    const returned = run(input, context);
    return isThenable(returned)
      ? underDeadline(Promise.resolve(returned), timeoutMs, execution, context, parts.pace)
      : { kind: "returned", returned };
  } catch (reason) {
    return { kind: "threw", reason };
  }
}

function underDeadline(
  promise: Promise<unknown>,
  timeoutMs: number,
  execution: Execution,
  context: ToolContext,
  pace: Pacer,
): Promise<RunEnd> {
  return new Promise((resolve) => {
    const late = promise.then(
      (returned): RunEnd => ({ kind: "returned", returned }),
      (reason: unknown): RunEnd => ({ kind: "threw", reason }),
    );
    let isOver = false;
    const finish = (end: RunEnd, aborted?: DOMException): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      resolve(end);
      if (aborted !== undefined) context.abort(aborted);
    };
    const onDeadline = (): void =>
      finish(
        { kind: "timed-out", late },
        new DOMException("The tool's execution deadline has passed.", "TimeoutError"),
      );
    const timer = setTimeout(() => pace(onDeadline), timeoutMs);
    execution.onCancel(() => {
      finish(
        { kind: "cancelled", late },
        new DOMException("The call was cancelled: no caller is waiting.", "AbortError"),
      );
    });
    void late.then((end) => finish(end));
  });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
