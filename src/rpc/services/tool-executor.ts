import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type ExecuteToolResponse,
  GetCallResponseSchema,
  ListToolsResponseSchema,
  WaitCallResponseSchema,
  type GetCallRequest,
  type ToolExecutor,
  type WaitCallRequest,
} from "../../../gen/jackfield/v1/tool_executor_pb.ts";
import type { CallContext, Tool, ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { allowsTool, type Caller } from "../../auth/caller.ts";
import type { Limits } from "../../config/config.ts";
import { rpcError } from "../../errors.ts";
import type { CancellationToken } from "../../executor/cancellation.ts";
import type { CallStatus, Executor } from "../../executor/contract.ts";
import type { Registry } from "../../registry/registry.ts";
import { rpcCall, type RpcCall } from "../rpc-call.ts";
import { answerWithinMs, callerWith, checkId, contextOf, pageSize } from "./check-request.ts";
import { executeTools } from "./execute-tools.ts";

/** Longest wait of WaitCall in milliseconds where the caller has no deadline. */
const maxWaitMs = 60_000;

/** The implementation of ToolExecutor. */
export function createToolExecutor(
  executor: Executor,
  registry: Registry,
  limits: Limits,
): ServiceImpl<typeof ToolExecutor> {
  return {
    executeTool(request, context) {
      const caller = callerWith("tools:execute", context);
      const { call } = request;
      if (call === undefined) throw rpcError("invalid-request", "call must be set");
      checkId("call.id", call.id);
      const rpc = rpcCall(context);
      const executed = executor.execute(call, {
        caller,
        context: contextOf(request.context, caller),
        answerWithinMs: answerWithinMs(request.answerWithin),
        cancellation: cancellationOf(rpc),
        trace: rpc.trace,
      });
      return executed instanceof Promise ? executed.then(executeToolResponse) : executeToolResponse(executed);
    },

    executeTools(request, context) {
      const caller = callerWith("tools:execute", context);
      if (request.calls.length === 0) throw rpcError("invalid-request", "calls must not be empty");
      if (request.calls.length > limits.callsPerRequest)
        throw rpcError("too-many-calls", String(limits.callsPerRequest));
      for (const call of request.calls) checkId("calls.id", call.id);
      const rpc = rpcCall(context);
      return executeTools(executor, request.calls, {
        caller,
        context: contextOf(request.context, caller),
        answerWithinMs: answerWithinMs(request.answerWithin),
        cancellation: cancellationOf(rpc),
        trace: rpc.trace,
      });
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
      const unsubscribe = cancellationOf(rpc)?.subscribe(() => waiting.abort());
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

/** What reports that the caller no longer waits; undefined where nothing can end the call early. */
function cancellationOf(rpc: RpcCall): CancellationToken | undefined {
  return rpc.cancellable ? rpc : undefined;
}

/** How long to wait, in milliseconds, so that the answer is there before the caller's deadline. */
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
