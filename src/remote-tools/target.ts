import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";
import type { SentRequests } from "../outbound/sent-requests.ts";
import type { Effect, ExecutionContext } from "../plugin/tool.ts";
import type { TraceContext } from "../telemetry/telemetry.ts";

/** What a target needs of the tool it serves. */
export interface TargetBinding {
  readonly name: string;
  readonly effect: Effect;
  /** Execution deadline of one call, in milliseconds. */
  readonly timeoutMs: number;
}

/** What a target gets of one execution: its context, and what the executor wants to know of what it sends. */
export interface TargetContext extends ExecutionContext {
  readonly trace?: TraceContext | undefined;
  /** Ids of the execution, for the spans of its requests. */
  readonly attributes?: Readonly<Record<string, string>>;
  /** Notes what the run sends. */
  readonly sent?: SentRequests;
  /** The `performance.now()` value after which the run may send nothing. */
  readonly sendUntil?: number;
}

/** Where the calls of a registered tool go. */
export interface Target {
  /** How logs and notes name it: without anything that may be secret. */
  readonly label: string;
  /** Texts that belong in no answer. */
  readonly secrets: readonly string[];
  /** Runs one call. Throws a ToolError. */
  run(args: unknown, context: TargetContext, served: TargetBinding): Promise<unknown>;
  /** What the target says of its tool; undefined where its kind cannot say. Rejects with a TargetError. */
  describe(): Promise<Tool | undefined>;
  /** Tells that no new call will come. */
  release(): void;
}

/** A target that cannot be used. The message says why. */
export class TargetError extends Error {
  override readonly name: string = "TargetError";
}
