import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { Outbound } from "../outbound/http.ts";
import type { ToolLog } from "../plugin/tool.ts";
import type { CompiledTool, Registry } from "../registry/registry.ts";
import type { Pacer } from "../timing.ts";
import type { CallMemory } from "./call-memory.ts";
import type { Execution } from "./execution.ts";
import type { RepeatGuard } from "./repeat-guard.ts";

/** Limits of the arguments of one call. */
export interface ArgumentLimits {
  /** Longest canonical JSON text, in bytes. */
  readonly argumentsBytes: number;
  /** Levels of nesting. */
  readonly depth: number;
}

/** What the stages work with. */
export interface ExecutorParts {
  readonly registry: Registry;
  readonly ledger: Ledger;
  readonly outbound: Outbound;
  readonly limits: ArgumentLimits & { readonly outputBytes: number };
  readonly memory: CallMemory;
  readonly slotsOf: SlotsOf;
  readonly guard: RepeatGuard;
  /** Spreads the ends of calls that are due together. */
  readonly pace: Pacer;
  /** The log of one execution, as its tool sees it. */
  logOf(execution: Execution): ToolLog;
  /** The ids of one execution, for the spans of its requests. */
  attributesOf(execution: Execution): Readonly<Record<string, string>>;
}

/** Answer to `acquire`: undefined with a slot, or the seconds after which to try again. */
export type SlotRefusal = { readonly retryAfterSeconds: number } | undefined;

/** The slots of one tool: a bounded number of executions side by side, and a short queue. All others are refused at once. */
export interface ToolSlots {
  /**
   * Takes a slot, or waits for one: no longer than the tool may run, and until the execution is cancelled. Answers
   * synchronously where it need not wait.
   */
  acquire(tool: CompiledTool, execution: Pick<Execution, "onCancel">): SlotRefusal | Promise<SlotRefusal>;
  /** Frees a slot. `ms`: how long the tool ran; undefined where it did not. */
  release(ms: number | undefined): void;
}

/** Finds the slots of a tool. They go by tenant and name, so that a tool that is replaced keeps its count. */
export type SlotsOf = (tool: CompiledTool) => ToolSlots;

/** A stage goes on with undefined, or ends the call with a result. It answers synchronously where it need not wait. */
export type StageAnswer = ToolResult | undefined | Promise<ToolResult | undefined>;

/** One step of the pipeline. */
export type Stage = (execution: Execution, parts: ExecutorParts) => StageAnswer;

/** Answers with a result, or later with one. */
export type Run = (execution: Execution, parts: ExecutorParts) => ToolResult | Promise<ToolResult>;
