import type { Execution, RunEnd } from "./execution.ts";
import type { ToolContext } from "./tool-context.ts";

/**
 * Runs a function of a tool under a deadline in milliseconds. At the deadline, or when the execution is cancelled, the
 * context's signal fires and the run is over. Answers synchronously where the function does.
 */
export function runTool(
  run: () => unknown,
  timeoutMs: number,
  execution: Execution,
  context: ToolContext,
): RunEnd | Promise<RunEnd> {
  try {
    const returned = run();
    return isThenable(returned)
      ? underDeadline(Promise.resolve(returned), timeoutMs, execution, context)
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
): Promise<RunEnd> {
  return new Promise((resolve) => {
    const late = promise.then(
      (returned): RunEnd => ({ kind: "returned", returned }),
      (reason: unknown): RunEnd => ({ kind: "threw", reason }),
    );
    const finish = (end: RunEnd): void => {
      clearTimeout(timer);
      unsubscribe();
      resolve(end);
    };
    const timer = setTimeout(() => {
      finish({ kind: "timed-out", late });
      context.abort(new DOMException("The tool's execution deadline has passed.", "TimeoutError"));
    }, timeoutMs);
    const unsubscribe = execution.onCancel(() => {
      finish({ kind: "cancelled", late });
      context.abort(new DOMException("The call was cancelled: no caller is waiting.", "AbortError"));
    });
    void late.then(finish);
  });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
