import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { CallScope, CallSelector, Ledger } from "../ledger/ledger.ts";
import type { Outbound } from "../outbound/http.ts";
import type { ToolLog } from "../plugin/tool.ts";
import type { CompiledTool, Registry } from "../registry/registry.ts";
import type { Pacer } from "../timing.ts";
import type { Execution } from "./execution.ts";

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

/** The answer of a call that has ended, kept in memory. */
export interface RecentAnswer {
  readonly toolName: string;
  readonly digest: string;
  readonly result: ToolResult;
  /** The same call again gets it; otherwise only callers that ask by id do. */
  readonly replay: boolean;
  readonly scope: CallScope;
}

/** What this process knows of calls: those that run, and the latest answers of those that left no trace on disk. */
export interface CallMemory {
  running(lookup: string): Execution | undefined;
  recent(lookup: string): RecentAnswer | undefined;
  /** Registers an execution: the same call from now on joins it. */
  start(execution: Execution): void;
  /** Removes an execution from the running ones and keeps its answer, where there is one to keep. */
  end(execution: Execution, answer: RecentAnswer | undefined): void;
  /** Forgets the answers of the selected calls. Returns how many. */
  forget(selector: CallSelector): number;
  /** Replaces the result of an answer that is kept; keeps none otherwise. */
  settle(lookup: string, result: ToolResult): void;
  all(): Iterable<Execution>;
  /** Resolves when no execution is registered. */
  idle(): Promise<void>;
  readonly count: number;
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

/**
 * The second guard, per tool and off by default: the same conversation, tool and arguments under a new id, within the tool's
 * window, get the first answer. Models ask again after a barge-in, and then the id is another one. Only for executions of a tool
 * with a window.
 */
export interface RepeatGuard {
  /** Finds the answer to the same request, or registers this execution as the first one. Waits for one that runs. */
  check(execution: Execution): undefined | Promise<undefined>;
  /** Stores in the ledger how an execution that `check` registered there ended; undefined: it did not run. Never rejects. */
  record(execution: Execution, result: ToolResult | undefined): Promise<void>;
  /** Answers the requests that wait for this execution. */
  settle(execution: Execution, result: ToolResult | undefined): void;
  /** Forgets the answers of the selected calls. */
  forget(selector: CallSelector): void;
}

/** A stage goes on with undefined, or ends the call with a result. It answers synchronously where it need not wait. */
export type StageAnswer = ToolResult | undefined | Promise<ToolResult | undefined>;

/** One step of the pipeline. */
export type Stage = (execution: Execution, parts: ExecutorParts) => StageAnswer;

/** Answers with a result, or later with one. */
export type Run = (execution: Execution, parts: ExecutorParts) => ToolResult | Promise<ToolResult>;
