import { create } from "@bufbuild/protobuf";
import {
  ExecuteToolsResponseSchema,
  ExecutionDoneSchema,
  type ExecuteToolsResponse,
} from "../../../gen/jackfield/v1/tool_executor_pb.ts";
import type { ToolCall, ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { ExecutionRequest, Executor } from "../../executor/execution.ts";
import { finiteResult } from "./json-safe.ts";

/** Progress that waits for a slow reader: beyond, it is dropped; results never are. */
const mostWaitingProgress = 1024;

/** Runs a batch and yields progress and results as they happen, then all results in the order of the calls. */
export async function* executeTools(
  executor: Executor,
  calls: readonly ToolCall[],
  request: ExecutionRequest,
): AsyncGenerator<ExecuteToolsResponse, void, undefined> {
  let waiting: ExecuteToolsResponse[] = [];
  let wake = Promise.withResolvers<void>();
  let results: ToolResult[] | undefined;
  let failed: { reason: unknown } | undefined;
  const run = async (): Promise<void> => {
    try {
      const all = await executor.executeAll(calls, {
        ...request,
        onProgress(progress) {
          if (waiting.length >= mostWaitingProgress) return;
          waiting.push(create(ExecuteToolsResponseSchema, { event: { case: "progress", value: progress } }));
          wake.resolve();
        },
        onResult(result) {
          waiting.push(create(ExecuteToolsResponseSchema, { event: { case: "result", value: finiteResult(result) } }));
          wake.resolve();
        },
      });
      results = all.map(finiteResult);
    } catch (reason) {
      failed = { reason };
    }
    wake.resolve();
  };
  void run();
  for (;;) {
    await wake.promise;
    wake = Promise.withResolvers<void>();
    const events = waiting;
    waiting = [];
    yield* events;
    if (waiting.length > 0) {
      wake.resolve();
      continue;
    }
    if (failed !== undefined) throw failed.reason;
    if (results !== undefined) {
      const done = create(ExecutionDoneSchema, { results });
      yield create(ExecuteToolsResponseSchema, { event: { case: "done", value: done } });
      return;
    }
  }
}
