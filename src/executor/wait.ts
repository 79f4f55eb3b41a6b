import type { ConnectError } from "@connectrpc/connect";
import { Effect, Outcome, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../errors.ts";
import type { ExecutionRequest } from "./contract.ts";
import type { Execution } from "./execution.ts";
import { errorResult } from "./tool-result.ts";

/** The longest delay that a timer of the platform takes, in milliseconds; a longer one would fire at once. */
const maxTimerMs = 2 ** 31 - 1;

/**
 * Waits for an execution on behalf of one caller: until it ends, until the answer deadline (then PENDING, after
 * `onOutlived`), or until the caller goes away (then it rejects; the last one to leave a `read` cancels it).
 */
export function waitFor(
  execution: Execution,
  answer: Promise<ToolResult>,
  { answerWithinMs: callerWithinMs, cancellation }: ExecutionRequest,
  onOutlived: (execution: Execution) => void,
): Promise<ToolResult> {
  execution.waiters++;
  const ofTool = execution.tool.answerWithinMs;
  const answerWithinMs =
    callerWithinMs === undefined || (ofTool !== undefined && ofTool < callerWithinMs) ? ofTool : callerWithinMs;
  if (answerWithinMs === undefined && cancellation === undefined) return answer;
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    let unsubscribe: (() => void) | undefined;
    const stop = (): void => {
      clearTimeout(timer);
      unsubscribe?.();
    };
    const onGone = (reason: ConnectError): void => {
      stop();
      execution.waiters--;
      const isWanted = execution.waiters > 0 || execution.outlived || execution.effect !== Effect.READ;
      if (!isWanted) execution.cancel();
      reject(reason);
    };
    if (answerWithinMs !== undefined) {
      const onDeadline = (): void => {
        stop();
        execution.outlived = true;
        onOutlived(execution);
        resolve(pending(execution));
      };
      timer = setTimeout(onDeadline, Math.min(answerWithinMs, maxTimerMs));
    }
    if (cancellation?.cancelled !== undefined) return onGone(cancellation.cancelled);
    unsubscribe = cancellation?.subscribe(onGone);
    const thenStop =
      <T>(settle: (value: T) => void) =>
      (value: T): void => {
        stop();
        settle(value);
      };
    answer.then(thenStop(resolve), thenStop(reject));
  });
}

/** The answer for work that goes on. Its id finds the call later. */
function pending({ callId, call, effect }: Execution): ToolResult {
  const message = modelError(effect === Effect.READ ? "pending-read" : "pending-write");
  return errorResult({ call: { id: callId, name: call.name } }, Outcome.PENDING, message);
}
