import type { CallContext, Progress, ToolCall, ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { CallState } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import type { Caller } from "../auth/caller.ts";
import type { TraceContext } from "../telemetry/telemetry.ts";
import type { CancellationToken } from "./cancellation.ts";

/** The context of a call: its caller, its scope, its deadline and its listeners. */
export interface ExecutionRequest {
  readonly caller: Caller;
  readonly context: CallContext | undefined;
  /** Answer deadline in milliseconds. When it passes, the result is PENDING and the work continues. Undefined: none. */
  readonly answerWithinMs?: number | undefined;
  /** Signals that the caller no longer waits. Undefined: it always waits. */
  readonly cancellation?: CancellationToken | undefined;
  /** Id of the job that the call belongs to. */
  readonly jobId?: string | undefined;
  /** Parent of the execution's span. */
  readonly trace?: TraceContext | undefined;
  onProgress?(progress: Progress): void;
  /** Called when a call of a batch ends, in the order in which they end. */
  onResult?(result: ToolResult): void;
}

/** The status of a call. */
export interface CallStatus {
  state: CallState;
  result: ToolResult | undefined;
}

/**
 * Runs calls through the pipeline. Fails only with a ConnectError for the caller's engineer: the store is unavailable,
 * or the service is draining.
 */
export interface Executor {
  /**
   * Rejects as soon as the request is cancelled. Returns synchronously if the tool does: a promise per call would cost
   * as much as the rest of the pipeline.
   */
  execute(call: ToolCall, request: ExecutionRequest): Promise<ToolResult> | ToolResult;
  /** Runs calls concurrently, within a limit. Results are in request order. */
  executeAll(calls: readonly ToolCall[], request: ExecutionRequest): Promise<ToolResult[]>;
  /** Returns the status of a call; undefined if it is unknown. */
  find(callId: string, context: CallContext | undefined, caller: Caller): Promise<CallStatus | undefined>;
  /** Like `find`, but waits until the call ends or the signal aborts. */
  wait(
    callId: string,
    context: CallContext | undefined,
    caller: Caller,
    signal: AbortSignal,
  ): Promise<CallStatus | undefined>;
  /** Number of running executions. */
  readonly running: number;
  /** Refuses new executions and waits for the running ones. When the signal aborts, cancels them. */
  drain(signal: AbortSignal): Promise<void>;
}
