import { create } from "@bufbuild/protobuf";
import {
  ExecuteToolsResponseSchema,
  ExecutionDoneSchema,
  type ExecuteToolsResponse,
} from "../../../gen/jackfield/v1/tool_executor_pb.ts";
import type { ToolCall } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { ExecutionRequest, Executor } from "../../executor/contract.ts";

/** Progress events that wait for a slow reader: further ones are dropped. Results never are. */
const maxWaitingProgress = 256;

/** Runs a batch. Yields progress and results as they happen, then all results in the order of the calls. */
export async function* executeTools(
  executor: Executor,
  calls: readonly ToolCall[],
  request: ExecutionRequest,
): AsyncGenerator<ExecuteToolsResponse, void, undefined> {
  let waiting: ExecuteToolsResponse[] = [];
  let waitingProgress = 0;
  let wake = Promise.withResolvers<void>();
  // Each result is prepared for sending once: `done` repeats the same messages.
  const push = (event: ExecuteToolsResponse["event"]): void => {
    waiting.push(create(ExecuteToolsResponseSchema, { event }));
    wake.resolve();
  };
  const executed = executor.executeAll(calls, {
    ...request,
    onProgress(progress) {
      if (waitingProgress >= maxWaitingProgress) return;
      waitingProgress += 1;
      push({ case: "progress", value: progress });
    },
    onResult(result) {
      push({ case: "result", value: result });
    },
  });
  let settled = false;
  const settle = (): void => {
    settled = true;
    wake.resolve();
  };
  executed.then(settle, settle);
  for (;;) {
    await wake.promise;
    wake = Promise.withResolvers<void>();
    while (waiting.length > 0) {
      const events = waiting;
      waiting = [];
      waitingProgress = 0;
      yield* events;
    }
    if (!settled) continue;
    const done = create(ExecutionDoneSchema, { results: await executed });
    yield create(ExecuteToolsResponseSchema, { event: { case: "done", value: done } });
    return;
  }
}
