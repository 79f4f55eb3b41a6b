import { ConnectError } from "@connectrpc/connect";
import { CallState } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import type { CallContext, ToolCall, ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../auth/caller.ts";
import { rpcError } from "../errors.ts";
import { type CallSelector, type Ledger, LedgerUnavailableError } from "../ledger/ledger.ts";
import type { Outbound } from "../outbound/http.ts";
import type { Registry } from "../registry/registry.ts";
import type { Clock } from "../store/clock.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { executeBatch } from "./batch.ts";
import { createCallMemory } from "./call-memory.ts";
import type { ExecutionRequest, Executor } from "./contract.ts";
import { Execution } from "./execution.ts";
import { recordOutlived } from "./intent.ts";
import { callScopeFrom, lookupOf, lookupsOf, stateOf, statusOf } from "./look-up.ts";
import { observed, type OnToolError, toolLog } from "./observe.ts";
import type { ArgumentLimits } from "./parse-arguments.ts";
import { runPipeline, runWork } from "./pipeline.ts";
import { recoverCalls } from "./recovery/recover.ts";
import { createRepeatGuard } from "./repeat-guard.ts";
import type { ExecutorParts } from "./stage.ts";
import { fitResult } from "./tool-result.ts";
import { createSlots } from "./tool-slots.ts";
import { waitFor } from "./wait.ts";

/** What an executor is made of. */
export interface ExecutorOptions {
  readonly registry: Registry;
  readonly ledger: Ledger;
  readonly outbound: Outbound;
  readonly telemetry: Telemetry;
  readonly limits: ArgumentLimits & { readonly outputBytes: number };
  /** Answers that are kept in memory for repeats: those of calls that the ledger does not hold. */
  readonly recentEntries: number;
  /** The clock of repeat windows. */
  readonly clock?: Clock;
  /** Receives what tools throw, by call id: for test kits. */
  readonly onToolError?: OnToolError;
}

/** The executor, and what the process does with it besides calling it. */
export interface RunningExecutor extends Executor {
  /** Recovers the calls of processes that died. Returns how many. */
  recover(): Promise<number>;
  /** Deletes what is kept of the selected calls, in the ledger and in this process. Returns of how many. */
  erase(selector: CallSelector): Promise<number>;
}

/** Calls of one batch that run side by side. */
const batchConcurrency = 16;

/** How often `wait` looks at a call that runs in another process, in milliseconds. */
const waitPollMs = 100;

/** Creates the one path that every call takes. See pipeline.ts for its stages. */
export function createExecutor(options: ExecutorOptions): RunningExecutor {
  const { registry, ledger, outbound, telemetry, limits, recentEntries, onToolError } = options;
  const memory = createCallMemory(recentEntries);
  const guard = createRepeatGuard(ledger, recentEntries, options.clock);
  let batches = 0;
  let draining = false;
  let onIdle: (() => void) | undefined;
  const isIdle = (): boolean => memory.count === 0 && batches === 0;
  const checkIdle = (): void => {
    if (isIdle()) onIdle?.();
  };
  const parts: ExecutorParts = {
    registry,
    ledger,
    outbound,
    limits,
    memory,
    guard,
    slotsOf: createSlots(),
    logOf: (execution) => toolLog(execution, telemetry),
    onEnd: checkIdle,
  };
  const run = observed(runPipeline, telemetry, onToolError);
  const onOutlived = (execution: Execution): void => recordOutlived(execution, ledger, telemetry.log);

  /** Runs the pipeline and waits for it as long as the caller does. */
  function answerCall(call: ToolCall, request: ExecutionRequest): Promise<ToolResult> | ToolResult {
    const execution = new Execution(call, request, callScopeFrom(request.context, request.caller));
    const answer = run(execution, parts);
    if (!(answer instanceof Promise)) return fitForCaller(answer, request.caller);
    // Where no caller waits any more when it rejects, the log tells why.
    answer.catch(() => {});
    execution.answer = answer;
    const joined = execution.joined ?? execution;
    const waited = waitFor(joined, joined.answer ?? answer, request, onOutlived);
    return waited.then((result) => fitForCaller(result, request.caller), throwRpcError);
  }

  async function find(callId: string, context: CallContext | undefined, caller: Caller) {
    const lookups = lookupsOf(callScopeFrom(context, caller), callId);
    for (const lookup of lookups) {
      if (memory.running(lookup) !== undefined) return { state: CallState.RUNNING, result: undefined };
      const recent = memory.recent(lookup);
      if (recent !== undefined) return { state: stateOf(recent.result), result: { ...recent.result, callId } };
    }
    for (const lookup of lookups) {
      const entry = await ledger.find(lookup).catch(throwRpcError);
      if (entry !== undefined) return statusOf(entry, callId);
    }
    return undefined;
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
      batches++;
      try {
        return await executeBatch(calls, request, answerCall, batchConcurrency);
      } finally {
        batches--;
        checkIdle();
      }
    },
    find,
    async wait(callId, context, caller, signal) {
      const running = memory.running(lookupOf(callScopeFrom(context, caller), callId));
      if (running?.answer !== undefined) await settledOrAborted(running.answer, signal);
      for (;;) {
        const status = await find(callId, context, caller);
        if (status?.state !== CallState.RUNNING || signal.aborted) return status;
        await settledOrAborted(new Promise((resolve) => setTimeout(resolve, waitPollMs)), signal);
      }
    },
    get running() {
      return memory.count;
    },
    recover: () => recoverCalls(observed(runWork, telemetry), parts, telemetry.log),
    async erase(selector) {
      // The answers in memory are those of calls that the ledger does not hold.
      const inMemory = memory.forget(selector);
      guard.forget(selector);
      return inMemory + (await ledger.erase(selector));
    },
    async drain(signal) {
      draining = true;
      if (!isIdle()) {
        const { promise, resolve } = Promise.withResolvers<void>();
        onIdle = resolve;
        await settledOrAborted(promise, signal);
        for (const execution of memory.all()) execution.cancel();
      }
      await settledOrAborted(ledger.settled(), signal);
    },
  };
}

function fitForCaller(result: ToolResult, { maxOutputBytes }: Caller): ToolResult {
  return maxOutputBytes === undefined ? result : fitResult(result, maxOutputBytes);
}

/** Fails with what the caller's engineer may see of a failure. */
async function throwRpcError(cause: unknown): Promise<never> {
  if (cause instanceof ConnectError) throw cause;
  throw rpcError(cause instanceof LedgerUnavailableError ? "store-unavailable" : "internal", "", cause);
}

/** Waits for a promise, however it settles, at most until the signal aborts. */
function settledOrAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      signal.removeEventListener("abort", end);
      resolve();
    };
    signal.addEventListener("abort", end, { once: true });
    promise.then(end, end);
  });
}
