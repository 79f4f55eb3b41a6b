import type { ConnectError } from "@connectrpc/connect";
import { Outcome, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../errors.ts";
import type { Execution } from "./claim.ts";
import type { ExecutionRequest } from "./execution.ts";
import { refused } from "./outcome.ts";

/** Longest delay that a timer of the platform takes, in milliseconds; a longer one would fire at once. */
const longestTimer = 2 ** 31 - 1;

/**
 * Waits for an execution on behalf of one caller: until it ends, until the answer deadline (then PENDING, and the
 * execution is recorded), or until the caller goes away (then it rejects; the last one to leave a `read` cancels it).
 */
export function waitFor(
  execution: Execution,
  name: string,
  request: ExecutionRequest,
): Promise<ToolResult> | ToolResult {
  if (execution.result !== undefined) return execution.result;
  const { answerWithinMs, cancellation } = request;
  execution.waiters++;
  if (answerWithinMs === undefined && cancellation === undefined) return execution.ended;
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    let unsubscribe: (() => void) | undefined;
    const leave = (): void => {
      clearTimeout(timer);
      unsubscribe?.();
    };
    const gone = (reason: ConnectError): void => {
      leave();
      execution.waiters--;
      if (execution.waiters === 0 && execution.read && !execution.outlived) execution.cancel();
      reject(reason);
    };
    if (answerWithinMs !== undefined) {
      timer = setTimeout(
        () => {
          leave();
          execution.outlive();
          resolve(pending(execution, name));
        },
        Math.min(answerWithinMs, longestTimer),
      );
    }
    if (cancellation?.cancelled !== undefined) return gone(cancellation.cancelled);
    unsubscribe = cancellation?.subscribe(gone);
    const leaving =
      <T>(settle: (outcome: T) => void) =>
      (outcome: T): void => {
        leave();
        settle(outcome);
      };
    execution.ended.then(leaving(resolve), leaving(reject));
  });
}

/** The answer for work that goes on. */
function pending(execution: Execution, name: string): ToolResult {
  const message = modelError(execution.read ? "pending-read" : "pending-write");
  return refused({ callId: execution.callId, name }, Outcome.PENDING, message);
}
