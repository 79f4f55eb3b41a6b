import type { ExecutionContext } from "../plugin/tool.ts";

/** How a run of a tool's function ended. */
export type Ran =
  | { readonly kind: "returned"; readonly returned: unknown }
  | { readonly kind: "threw"; readonly reason: unknown }
  | { readonly kind: "timed-out" }
  | { readonly kind: "cancelled" };

/** Tells when nobody wants an execution any more. */
export interface Cancellation {
  readonly cancelled: boolean;
  /** Calls `listener` when the execution is cancelled, instead of the one before; at once where it is already. */
  onCancel(listener: () => void): void;
}

/** What a run needs of its execution: the deadline's signal, made only for tools that look at it. */
export interface RunScope extends Cancellation {
  readonly context: ExecutionContext;
  /** The execution deadline counts from now on. */
  started(): void;
  /** Fires the signal that tool and downstream see. */
  abort(reason: Error): void;
}

const timedOut: Ran = { kind: "timed-out" };
const cancelled: Ran = { kind: "cancelled" };

/**
 * Stage 8. Runs a function of a tool under its execution deadline, in milliseconds. At the deadline, or when it is
 * cancelled, the signal fires and the run is over: whatever a tool that ignores the signal does afterwards is dropped.
 */
export function runTool(run: () => unknown, timeoutMs: number, toolContext: RunScope): Ran | Promise<Ran> {
  toolContext.started();
  try {
    const returned = run();
    return isThenable(returned)
      ? awaitRun(Promise.resolve(returned), timeoutMs, toolContext)
      : { kind: "returned", returned };
  } catch (reason) {
    return { kind: "threw", reason };
  }
}

function awaitRun(promise: Promise<unknown>, timeoutMs: number, toolContext: RunScope): Promise<Ran> {
  return new Promise((resolve) => {
    let over = false;
    const end = (ran: Ran): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      resolve(ran);
    };
    const timer = setTimeout(() => {
      end(timedOut);
      toolContext.abort(new DOMException("The tool's execution deadline has passed.", "TimeoutError"));
    }, timeoutMs);
    toolContext.onCancel(() => {
      end(cancelled);
      toolContext.abort(new DOMException("Nobody waits for this call any more.", "AbortError"));
    });
    promise.then(
      (value) => end({ kind: "returned", returned: value }),
      (reason: unknown) => end({ kind: "threw", reason }),
    );
  });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
