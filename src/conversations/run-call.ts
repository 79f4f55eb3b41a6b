import { create } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, type ContextValues } from "@connectrpc/connect";
import type { ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import {
  Outcome,
  type Progress,
  type ToolCall,
  ToolErrorSchema,
  type ToolResult,
  ToolResultSchema,
} from "../../gen/jackfield/v1/tool_pb.ts";
import { rpcError } from "../errors.ts";

/** Target and context of one call. */
export interface CallParts {
  readonly executor: Client<typeof ToolExecutor>;
  readonly conversationId: string;
  readonly signal: AbortSignal;
  /** Carries the trace into the RPC. */
  readonly contextValues: ContextValues;
}

/** An event of one call: progress, or its result. */
export type CallEvent = { case: "progress"; value: Progress } | { case: "result"; value: ToolResult };

/**
 * Executes one call of the model. If the executor rejects the request because its id is too long or it is too large, the
 * call gets a result that says so; any other RPC error is thrown.
 */
export async function* runCall(call: ToolCall, parts: CallParts): AsyncGenerator<CallEvent> {
  const { executor, conversationId, signal, contextValues } = parts;
  try {
    const events = executor.executeTools({ calls: [call], context: { conversationId } }, { signal, contextValues });
    let answered = false;
    for await (const { event } of events) {
      if (event.case === "progress") yield event;
      if (event.case !== "result") continue;
      answered = true;
      yield event;
    }
    if (!answered) throw rpcError("internal", "", new Error("the executor ended without a result"));
  } catch (reason) {
    const { code, rawMessage } = ConnectError.from(reason);
    if (code !== Code.InvalidArgument && code !== Code.ResourceExhausted) throw reason;
    yield { case: "result", value: refusedCall(call, rawMessage) };
  }
}

/** Creates the result of a call that was not executed. */
export function refusedCall(call: ToolCall, message: string): ToolResult {
  return create(ToolResultSchema, {
    callId: call.id,
    name: call.name,
    outcome: Outcome.INVALID_ARGUMENTS,
    output: message,
    error: create(ToolErrorSchema, { message }),
  });
}
