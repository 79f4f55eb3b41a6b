import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";
import type { SentRequests } from "../outbound/sent-requests.ts";
import type { Effect, ExecutionContext } from "../plugin/tool.ts";
import type { TraceContext } from "../telemetry/telemetry.ts";

/** The served tool, as far as a target needs it. */
export interface TargetBinding {
  readonly name: string;
  readonly effect: Effect;
  /** Execution deadline of one call, in milliseconds. */
  readonly timeoutMs: number;
}

/** The execution context for targets, extended by the executor's records of sent requests. */
export interface TargetContext extends ExecutionContext {
  readonly trace?: TraceContext | undefined;
  /** Ids of the execution, for the spans of its requests. */
  readonly attributes?: Readonly<Record<string, string>>;
  /** Records the requests that the run sends. */
  readonly sent?: SentRequests;
  /** The `performance.now()` value after which the run may send nothing. */
  readonly sendUntil?: number;
}

/** The destination of a registered tool's calls. */
export interface Target {
  /** Name for logs and notes, without anything that may be secret. */
  readonly label: string;
  /** Texts that no answer may contain. */
  readonly secrets: readonly string[];
  /** Runs one call. Throws a ToolError. */
  run(args: unknown, context: TargetContext, binding: TargetBinding): Promise<unknown>;
  /** Returns the target's own description of its tool; undefined if its kind has none. Rejects with a TargetError. */
  describe(): Promise<Tool | undefined>;
  /** Announces that no new call will follow. */
  release(): void;
}

/** Thrown for an unusable target. The message gives the reason. */
export class TargetError extends Error {
  override readonly name: string = "TargetError";
}
