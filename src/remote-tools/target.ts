import type { Context } from "@opentelemetry/api";
import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Effect, ExecutionContext } from "../plugin/tool.ts";

/** What a target needs of the tool it serves. */
export interface TargetBinding {
  readonly name: string;
  readonly effect: Effect;
  /** Execution deadline of one call, in milliseconds. */
  readonly timeoutMs: number;
}

/** What a target gets of one execution: its context, and where there is one, the span it belongs to. */
export interface TargetContext extends ExecutionContext {
  readonly trace?: Context | undefined;
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

/** A target that cannot be used, with the reason in words. */
export class TargetError extends Error {
  override readonly name: string = "TargetError";
}
