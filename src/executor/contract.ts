import type { CallContext, Progress, ToolCall, ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { CallState } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import type { Caller } from "../auth/caller.ts";
import type { TraceContext } from "../telemetry/telemetry.ts";
import type { CancellationToken } from "./cancellation.ts";

/** What comes with a call: who asks, where it belongs, how long the answer may take, who listens. */
export interface ExecutionRequest {
  readonly caller: Caller;
  readonly context: CallContext | undefined;
  /** Answer deadline in milliseconds: then the result is PENDING and the work goes on. Undefined: none. */
  readonly answerWithinMs?: number | undefined;
  /** Reports that the caller no longer waits. Undefined: it always does. */
  readonly cancellation?: CancellationToken | undefined;
  /** The job that the call belongs to. */
  readonly jobId?: string | undefined;
  /** Parent of the execution's span. */
  readonly trace?: TraceContext | undefined;
  onProgress?(progress: Progress): void;
  /** Called as each call of a batch ends, in the order in which they end. */
  onResult?(result: ToolResult): void;
}

/** What is known of a call. */
export interface CallStatus {
  state: CallState;
  result: ToolResult | undefined;
}

/** Runs calls through the pipeline. Fails only with a ConnectError for the engineer: store down, draining. */
export interface Executor {
  /**
   * Rejects as soon as the request is cancelled. Answers synchronously where the tool does: a promise for each call would
   * cost as much as the rest of the pipeline.
   */
  execute(call: ToolCall, request: ExecutionRequest): Promise<ToolResult> | ToolResult;
  /** Runs the calls side by side, bounded. Results in request order. */
  executeAll(calls: readonly ToolCall[], request: ExecutionRequest): Promise<ToolResult[]>;
  /** What is known of a call; undefined where nothing is. */
  find(callId: string, context: CallContext | undefined, caller: Caller): Promise<CallStatus | undefined>;
  /** Like `find`, but waits until the call ends or the signal aborts. */
  wait(
    callId: string,
    context: CallContext | undefined,
    caller: Caller,
    signal: AbortSignal,
  ): Promise<CallStatus | undefined>;
  /** Number of executions under way. */
  readonly running: number;
  /** Refuses new executions and waits for the running ones, at most until the signal aborts; then it cancels them. */
  drain(signal: AbortSignal): Promise<void>;
}
