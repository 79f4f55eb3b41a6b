import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type ExecuteToolResponse,
  ExecuteToolsResponseSchema,
  type ExecuteToolsResponse,
  ExecutionDoneSchema,
  GetCallResponseSchema,
  ListToolsResponseSchema,
  WaitCallResponseSchema,
  type GetCallRequest,
  type ToolExecutor,
  type WaitCallRequest,
} from "../../../gen/jackfield/v1/tool_executor_pb.ts";
import type { CallContext, Tool, ToolCall, ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { allowsTool, type Caller } from "../../auth/caller.ts";
import type { Limits } from "../../config/config.ts";
import { rpcError } from "../../errors.ts";
import type { CallStatus, ExecutionRequest, Executor } from "../../executor/contract.ts";
import type { Registry } from "../../registry/registry.ts";
import { callerWith, checkId, contextOf, executionRequest, pageSize, rpcCall } from "./check-request.ts";

/** Maximum wait of WaitCall if the caller has no deadline, in milliseconds. */
const maxWaitMs = 60_000;

/** Maximum number of progress events that wait for a slow reader; further ones are dropped. Results never are. */
const maxWaitingProgress = 256;

/** Creates the implementation of ToolExecutor. */
export function createToolExecutor(
  executor: Executor,
  registry: Registry,
  limits: Limits,
): ServiceImpl<typeof ToolExecutor> {
  return {
    executeTool(request, context) {
      const rpc = rpcCall(context);
      const caller = callerWith("tools:execute", rpc);
      const { call } = request;
      if (call === undefined) throw rpcError("invalid-request", "call must be set");
      checkId("call.id", call.id);
      rpc.isListenedTo = true;
      const executed = executor.execute(call, executionRequest(request, rpc, caller));
      return executed instanceof Promise ? executed.then(executeToolResponse) : executeToolResponse(executed);
    },

    executeTools(request, context) {
      const rpc = rpcCall(context);
      const caller = callerWith("tools:execute", rpc);
      if (request.calls.length === 0) throw rpcError("invalid-request", "calls must not be empty");
      if (request.calls.length > limits.callsPerRequest)
        throw rpcError("too-many-calls", String(limits.callsPerRequest));
      for (const call of request.calls) checkId("calls.id", call.id);
      return executeTools(executor, request.calls, executionRequest(request, rpc, caller));
    },

    listTools(request, context) {
      const caller = callerWith("tools:read", context);
      const size = pageSize(request.pageSize);
      const tools: Tool[] = [];
      for (const tool of registry.list(caller.tenant)) {
        if (tool.name <= request.pageToken || !allowsTool(caller, tool.name)) continue;
        if (tools.length === size) {
          return create(ListToolsResponseSchema, { tools, nextPageToken: tools.at(-1)?.name ?? "" });
        }
        tools.push(tool.message);
      }
      return create(ListToolsResponseSchema, { tools });
    },

    async getCall(request, context) {
      const { caller, callContext } = lookup(request, context);
      const status = await executor.find(request.callId, callContext, caller);
      return create(GetCallResponseSchema, callStatus(status, request.callId));
    },

    async waitCall(request, context) {
      const { caller, callContext } = lookup(request, context);
      const rpc = rpcCall(context);
      const waiting = new AbortController();
      const timer = setTimeout(() => waiting.abort(), waitMs(rpc.timeoutMs()));
      const unsubscribe = rpc.cancellable ? rpc.subscribe(() => waiting.abort()) : undefined;
      try {
        const status = await executor.wait(request.callId, callContext, caller, waiting.signal);
        return create(WaitCallResponseSchema, callStatus(status, request.callId));
      } finally {
        clearTimeout(timer);
        unsubscribe?.();
      }
    },
  };
}

function executeToolResponse(result: ToolResult): ExecuteToolResponse {
  return { $typeName: "jackfield.v1.ExecuteToolResponse", result };
}

/** Runs a batch. Yields progress and results as they occur, then all results in the order of the calls. */
async function* executeTools(
  executor: Executor,
  calls: readonly ToolCall[],
  request: ExecutionRequest,
): AsyncGenerator<ExecuteToolsResponse, void, undefined> {
  let waiting: ExecuteToolsResponse[] = [];
  let waitingProgress = 0;
  let wake = Promise.withResolvers<void>();
  // Each result is converted for sending once; `done` contains the same messages.
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

/** Returns how long to wait, in milliseconds, so that the answer arrives before the caller's deadline. */
function waitMs(timeoutMs: number | undefined): number {
  if (timeoutMs === undefined) return maxWaitMs;
  return Math.max(0, timeoutMs - Math.min(timeoutMs * 0.25, 500));
}

function lookup(
  request: GetCallRequest | WaitCallRequest,
  context: HandlerContext,
): { caller: Caller; callContext: CallContext } {
  const caller = callerWith("tools:execute", context);
  checkId("call_id", request.callId);
  return { caller, callContext: contextOf(request.context, caller) };
}

function callStatus(status: CallStatus | undefined, callId: string): CallStatus {
  if (status === undefined) throw rpcError("call-not-found", JSON.stringify(callId));
  return { state: status.state, result: status.result };
}
