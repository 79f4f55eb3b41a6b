import { ConnectError } from "@connectrpc/connect";
import { Effect, Outcome, type ToolCall, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../auth/caller.ts";
import { modelError, rpcError } from "../errors.ts";
import { type CallSelector, type Ledger, LedgerUnavailableError } from "../ledger/ledger.ts";
import { LinkedList } from "../linked-list.ts";
import type { Outbound } from "../outbound/http.ts";
import type { Registry } from "../registry/registry.ts";
import type { Clock } from "../store/clock.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { createPacer, maxTimerMs, type Pacer } from "../timing.ts";
import { executeBatch } from "./batch.ts";
import type { ExecutionRequest, Executor } from "./contract.ts";
import { callScopeFrom, Execution } from "./execution.ts";
import { findCall, settledOrAborted, waitForEnd } from "./find-call.ts";
import { recordOutlived } from "./intent.ts";
import { executionLog, observed, requestAttributes, toolLog, type OnToolError } from "./observe.ts";
import { largeArguments, runPipeline, runWork } from "./pipeline.ts";
import { recoverCalls } from "./recovery/recover.ts";
import type { ArgumentLimits, ExecutorParts } from "./stage.ts";
import { createSlots } from "./stages/acquire-slot.ts";
import { createCallMemory } from "./stages/deduplicate.ts";
import { createRepeatGuard } from "./stages/guard-repeats.ts";
import { fitResult } from "./stages/shape-output.ts";
import { errorResult } from "./tool-result.ts";

/** Dependencies and limits of an executor. */
export interface ExecutorOptions {
  readonly registry: Registry;
  readonly ledger: Ledger;
  readonly outbound: Outbound;
  readonly telemetry: Telemetry;
  readonly limits: ArgumentLimits & { readonly outputBytes: number };
  /** Number of ended calls that are kept in memory: answers of calls without a ledger entry, and the ids of others. */
  readonly recentEntries: number;
  /** The clock of repeat windows. */
  readonly clock?: Clock;
  /** Receives the values that tools throw, by call id; for test kits. */
  readonly onToolError?: OnToolError;
}

/** An executor, with the operations of the process that owns it. */
export interface RunningExecutor extends Executor {
  /** Recovers the calls of processes that died, and returns their number. */
  recover(): Promise<number>;
  /** Deletes the records of the selected calls, in the ledger and in this process. Returns the number of calls. */
  erase(selector: CallSelector): Promise<number>;
}

/** Time per turn of the event loop for calls that end at a deadline, and for calls that get a slot, in milliseconds. */
const pacedMsPerTurn = 0.5;
/** Time per turn of the event loop for stages of large calls, in milliseconds: the last one of a turn may exceed it. */
const largeMsPerTurn = 5;

/** Number of concurrent calls of one batch. */
const batchConcurrency = 16;

/** Creates the one path that every call takes. Its stages are listed in pipeline.ts. */
export function createExecutor(options: ExecutorOptions): RunningExecutor {
  const { registry, ledger, outbound, telemetry, limits, recentEntries, onToolError } = options;
  const memory = createCallMemory(recentEntries);
  const guard = createRepeatGuard(ledger, recentEntries, options.clock);
  const pace = createPacer(pacedMsPerTurn);
  const paceLarge = createPacer(largeMsPerTurn);
  const ownTurn = (): Promise<undefined> =>
    new Promise((resolve) => setImmediate(() => paceLarge(() => resolve(undefined))));
  const batches = new LinkedList<Promise<unknown>>();
  let draining = false;
  const parts: ExecutorParts = {
    registry,
    ledger,
    outbound,
    limits,
    memory,
    guard,
    pace,
    ownTurn,
    slotsOf: createSlots(pace, createPacer(pacedMsPerTurn)),
    logOf: (execution) => toolLog(execution, telemetry),
    attributesOf: requestAttributes,
  };
  const run = observed(runPipeline, telemetry, onToolError);
  const onOutlived = (execution: Execution): void =>
    recordOutlived(execution, ledger, executionLog(execution, telemetry));

  /** Deletes what this process has in memory: the answers of calls that are not in the ledger. */
  function forget(selector: CallSelector | "all"): number {
    guard.forget(selector);
    return memory.forget(selector);
  }
  ledger.onErased(forget);

  /** Runs the pipeline and waits for it as long as the caller does. */
  function answerCall(call: ToolCall, request: ExecutionRequest): Promise<ToolResult> | ToolResult {
    const execution = new Execution(call, request, callScopeFrom(request.context, request.caller));
    const answer = run(execution, parts);
    if (!(answer instanceof Promise)) return fitForCaller(answer, request.caller);
    // If it rejects when no caller waits any more, the log has the reason.
    answer.catch(() => {});
    execution.answer = answer;
    const waited = waitFor(execution.joined ?? execution, answer, request, onOutlived, pace);
    return waited.then((result) => fitForCaller(result, request.caller), throwRpcError);
  }

  /** Runs a call of a batch. Several jobs may start at once, so that large arguments get a turn of their own. */
  function answerInTurn(call: ToolCall, request: ExecutionRequest): Promise<ToolResult> | ToolResult {
    const isLarge = call.input.case === "argumentsJson" && call.input.value.length >= largeArguments;
    return isLarge ? ownTurn().then(() => answerCall(call, request)) : answerCall(call, request);
  }

  return {
    execute(call, request) {
      if (draining) return Promise.reject(rpcError("draining"));
      try {
        return answerCall(call, request);
      } catch (cause) {
        return throwRpcError(cause);
      }
    },
    async executeAll(calls, request) {
      if (draining) throw rpcError("draining");
      const batch = executeBatch(calls, request, answerInTurn, batchConcurrency);
      const item = batches.add(batch);
      try {
        return await batch;
      } finally {
        batches.remove(item);
      }
    },
    find: (callId, context, caller) => findCall(callId, context, caller, parts).catch(throwRpcError),
    wait: (callId, context, caller, signal) => waitForEnd(callId, context, caller, signal, parts).catch(throwRpcError),
    get running() {
      return memory.count;
    },
    recover: () => recoverCalls(observed(runWork, telemetry), parts, telemetry.log, () => draining),
    async erase(selector) {
      const inMemory = forget(selector);
      return inMemory + (await ledger.erase(selector));
    },
    async drain(signal) {
      draining = true;
      // A batch may start calls until its last one has ended.
      const ended = Promise.allSettled(batches.items().map(({ value }) => value)).then(() => memory.idle());
      await settledOrAborted(ended, signal);
      for (const execution of memory.all()) execution.cancel();
      await settledOrAborted(ledger.settled(), signal);
    },
  };
}

function fitForCaller(result: ToolResult, { maxOutputBytes }: Caller): ToolResult {
  return maxOutputBytes === undefined ? result : fitResult(result, maxOutputBytes);
}

/** Rejects with an error that the caller's engineer may see. */
async function throwRpcError(cause: unknown): Promise<never> {
  if (cause instanceof ConnectError) throw cause;
  throw rpcError(cause instanceof LedgerUnavailableError ? "store-unavailable" : "internal", "", cause);
}

/**
 * Waits for an execution on behalf of one caller: until it ends, until the answer deadline (then the result is PENDING,
 * after `onOutlived`), or until the caller goes away (then it rejects; the last caller to leave a `read` cancels it).
 */
function waitFor(
  execution: Execution,
  answer: Promise<ToolResult>,
  { answerWithinMs: callerWithinMs, cancellation, jobId }: ExecutionRequest,
  onOutlived: (execution: Execution) => void,
  pace: Pacer,
): Promise<ToolResult> {
  execution.waiters++;
  // A job waits for the end: its results are final, and nobody asks for a PENDING one again.
  const toolWithinMs = jobId === undefined ? execution.tool.answerWithinMs : undefined;
  const answerWithinMs = Math.min(callerWithinMs ?? Infinity, toolWithinMs ?? Infinity);
  if (answerWithinMs === Infinity && cancellation === undefined) return answer;
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    let unsubscribe: (() => void) | undefined;
    let stopped = false;
    const stop = (): void => {
      stopped = true;
      clearTimeout(timer);
      unsubscribe?.();
    };
    const onDisconnect = (reason: ConnectError): void => {
      stop();
      execution.waiters--;
      const isWanted = execution.waiters > 0 || execution.effect !== Effect.READ;
      if (!isWanted) execution.cancel();
      reject(reason);
    };
    if (answerWithinMs !== Infinity) {
      const onDeadline = (): void => {
        if (stopped) return;
        stop();
        execution.outlived = true;
        onOutlived(execution);
        resolve(pending(execution));
      };
      timer = setTimeout(() => pace(onDeadline), Math.min(answerWithinMs, maxTimerMs));
    }
    const thenStop =
      <T>(settle: (value: T) => void) =>
      (value: T): void => {
        stop();
        settle(value);
      };
    answer.then(thenStop(resolve), thenStop(reject));
    // If the request has already been cancelled, the caller is gone at once.
    unsubscribe = cancellation?.subscribe(onDisconnect);
  });
}

/** The answer for work that continues. The call can later be found by its id. */
function pending({ callId, call, effect }: Execution): ToolResult {
  const message = modelError(effect === Effect.READ ? "pending-read" : "pending-write");
  return errorResult({ call: { id: callId, name: call.name } }, Outcome.PENDING, message);
}
