import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { CallScope, CallSelector, Ledger } from "../ledger/ledger.ts";
import type { Outbound } from "../outbound/http.ts";
import type { ToolLog } from "../plugin/tool.ts";
import type { CompiledTool, Registry } from "../registry/registry.ts";
import type { Pacer } from "../timing.ts";
import type { Execution } from "./execution.ts";

/** Limits of the arguments of one call. */
export interface ArgumentLimits {
  /** Maximum length of the canonical JSON text, in bytes. */
  readonly argumentsBytes: number;
  /** Maximum nesting depth. */
  readonly depth: number;
}

/** Dependencies of the stages. */
export interface ExecutorParts {
  readonly registry: Registry;
  readonly ledger: Ledger;
  readonly outbound: Outbound;
  readonly limits: ArgumentLimits & { readonly outputBytes: number };
  readonly memory: CallMemory;
  readonly slotsOf: SlotsOf;
  readonly guard: RepeatGuard;
  /** Spreads the ends of calls that are due at the same time. */
  readonly pace: Pacer;
  /** Resolves in a later turn of the event loop. Stages of large calls share these turns, in order. */
  ownTurn(): Promise<undefined>;
  /** Returns the log of one execution, as its tool sees it. */
  logOf(execution: Execution): ToolLog;
  /** Returns the ids of one execution, for the spans of its requests. */
  attributesOf(execution: Execution): Readonly<Record<string, string>>;
}

/** A call that has ended, with its answer. */
export interface RecentAnswer {
  readonly toolName: string;
  readonly digest: string;
  /** Undefined if the ledger has it. */
  readonly result: ToolResult | undefined;
  /** Whether a repeat of the call gets it. Otherwise it is only found by id. */
  readonly replay: boolean;
  readonly scope: CallScope;
}

/** The calls that this process knows: the running ones and the latest that have ended. */
export interface CallMemory {
  running(lookup: string): Execution | undefined;
  recent(lookup: string): RecentAnswer | undefined;
  /** Registers an execution. From now on the same call joins it. */
  start(execution: Execution): void;
  /** Removes an execution from the running ones. Its answer, if given, replaces the one that is cached for its call. */
  end(execution: Execution, answer: RecentAnswer | undefined): void;
  /** Deletes the answers of the selected calls and returns their number. */
  forget(selector: CallSelector | "all"): number;
  /** Replaces the result of a cached answer, if there is one. */
  settle(lookup: string, result: ToolResult): void;
  all(): Iterable<Execution>;
  /** Resolves when no execution is registered. */
  idle(): Promise<void>;
  readonly count: number;
}

/** Result of `acquire`: undefined if a slot was acquired, otherwise the number of seconds after which to try again. */
export type SlotRefusal = { readonly retryAfterSeconds: number } | undefined;

/**
 * The slots of one tool: a bounded number of concurrent executions, and a short queue. Further calls are refused at
 * once.
 */
export interface ToolSlots {
  /**
   * Takes a slot, or waits for one: at most for the tool's time limit, and until the execution is cancelled. Returns
   * synchronously if it need not wait.
   */
  acquire(tool: CompiledTool, execution: Pick<Execution, "onCancel">): SlotRefusal | Promise<SlotRefusal>;
  /** Frees a slot. `ms` is the duration of the tool's run; undefined if it did not run. */
  release(ms: number | undefined): void;
}

/** Returns the slots of a tool. They belong to tenant and name, so that a replaced tool keeps its count. */
export type SlotsOf = (tool: CompiledTool) => ToolSlots;

/**
 * A second guard against repeats, per tool and off by default: the same conversation, tool and arguments under a new
 * id, within the tool's window, get the first answer. Models repeat a request after a barge-in, under another id. Use
 * only for executions of a tool with a window.
 */
export interface RepeatGuard {
  /** Finds the answer to the same request, or registers this execution as the first one. Waits for a running one. */
  check(execution: Execution): undefined | Promise<undefined>;
  /**
   * Stores in the ledger how an execution ended that `check` registered there; undefined: it did not run. Never
   * rejects.
   */
  record(execution: Execution, result: ToolResult | undefined): Promise<void>;
  /** Answers the requests that wait for this execution. */
  settle(execution: Execution, result: ToolResult | undefined): void;
  /** Deletes the answers of the selected calls. */
  forget(selector: CallSelector | "all"): void;
}

/**
 * Undefined continues with the next stage; a result ends the call. Returned synchronously if the stage need not wait.
 */
export type StageAnswer = ToolResult | undefined | Promise<ToolResult | undefined>;

/** One step of the pipeline. */
export type Stage = (execution: Execution, parts: ExecutorParts) => StageAnswer;

/** Runs an execution and returns its result. */
export type Run = (execution: Execution, parts: ExecutorParts) => ToolResult | Promise<ToolResult>;
