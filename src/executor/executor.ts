import { randomUUID } from "node:crypto";
import { CallState } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { type CallContext, Outcome, type ToolCall, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../auth/caller.ts";
import { modelError, rpcError } from "../errors.ts";
import { callKey } from "../ledger/call-key.ts";
import type { CallScope, Ledger } from "../ledger/ledger.ts";
import type { Outbound } from "../outbound/http.ts";
import type { CompiledTool, Registry } from "../registry/registry.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { createAdmissions } from "./admit.ts";
import { executeBatch } from "./batch.ts";
import { createClaims, type Execution, type RecentAnswer } from "./claim.ts";
import type { ExecutionRequest, Executor } from "./execution.ts";
import { findTool } from "./find.ts";
import { lookupOf, callScopeFrom, statusOf } from "./look-up.ts";
import { createObserve } from "./observe.ts";
import { fitResult, refused, resultWith } from "./outcome.ts";
import { type ArgumentLimits, invalid, type ParsedArguments, parseArguments } from "./parse-arguments.ts";
import { type LaunchParts, launch } from "./launch.ts";
import { createOutcomeStore } from "./outcome-store.ts";
import { createRepeatGuard } from "./repeat-guard.ts";
import { takeOverAbandoned } from "./take-over.ts";
import { sanitize } from "../json/sanitize.ts";
import { waitFor } from "./wait.ts";

/** What the executor is made from. */
export interface ExecutorParts {
  readonly registry: Registry;
  readonly ledger: Ledger;
  readonly outbound: Outbound;
  readonly telemetry: Telemetry;
  readonly limits: ArgumentLimits & { readonly outputBytes: number };
  /** Answers of calls without a trace on disk that are kept for repeats. */
  readonly recentEntries: number;
  /** Calls of one batch side by side. */
  readonly batchConcurrency?: number;
}

/** The executor, and what the process does with it beside calling it. */
export interface RunningExecutor extends Executor {
  /** Takes over the calls of processes that died. Returns how many. */
  recover(): Promise<number>;
  /** Forgets the answers of one conversation. Returns how many. */
  erase(tenant: string, conversationId: string): Promise<number>;
  waiting(): { tool: string; count: number }[];
}

/**
 * Creates the one execution path. A call passes the stages in this order: find, parse, sanitise, validate, join or claim,
 * admit, intent durable, run, outcome durable, answer.
 */
export function createExecutor(parts: ExecutorParts): RunningExecutor {
  const { registry, ledger, telemetry, limits } = parts;
  const claims = createClaims(parts.recentEntries);
  const admissions = createAdmissions();
  const observe = createObserve(telemetry);
  const repeats = createRepeatGuard(ledger, parts.recentEntries);

  let batches = 0;
  let draining = false;
  let drained: (() => void) | undefined;
  const isIdle = (): boolean => claims.count === 0 && batches === 0 && outcomes.behind === 0;
  const settleDrain = (): void => {
    if (isIdle()) drained?.();
  };
  const outcomes = createOutcomeStore(ledger, settleDrain);
  const launchParts: LaunchParts = { ...parts, claims, admissions, observe, repeats, outcomes };

  const refuse = (
    call: ToolCall,
    scope: CallScope,
    request: ExecutionRequest,
    result: ToolResult,
    digest = "",
  ): ToolResult => {
    observe(call.name, call.id, scope, request.caller.name, request.trace).ended(result, false, digest);
    return result;
  };

  function executeOne(call: ToolCall, request: ExecutionRequest): Promise<ToolResult> | ToolResult {
    const { caller } = request;
    const scope = callScopeFrom(request.context, caller);
    const name = { callId: call.id, name: call.name };

    const tool = findTool(registry, call.name, caller);
    if (tool === "unknown") {
      return refuse(call, scope, request, refused(name, Outcome.UNKNOWN_TOOL, modelError("unknown-tool", call.name)));
    }
    if (tool === "denied") {
      return refuse(call, scope, request, refused(name, Outcome.DENIED, modelError("denied", call.name)));
    }
    const parsed = parseArguments(call, limits);
    if ("violations" in parsed) {
      return refuse(call, scope, request, refused(name, Outcome.INVALID_ARGUMENTS, parsed.message, parsed.violations));
    }
    const args = sanitize(parsed.value, tool.sanitize ?? caller.sanitize ?? "text", tool.literals);
    const violations = tool.validateInput(args);
    if (violations.length > 0) {
      const fault = invalid(call.name, [...violations]);
      const result = refused(name, Outcome.INVALID_ARGUMENTS, fault.message, fault.violations);
      return refuse(call, scope, request, result, parsed.digest);
    }
    return claim(call, tool, parsed, args, scope, request);
  }

  function claim(
    call: ToolCall,
    tool: CompiledTool,
    parsed: ParsedArguments,
    args: ParsedArguments["value"],
    scope: CallScope,
    request: ExecutionRequest,
  ): Promise<ToolResult> | ToolResult {
    const key = callKey(scope, call.id);
    if (key !== undefined) {
      const known = repeatOf(key);
      if (known !== undefined) {
        if (known.digest !== parsed.digest || toolNameOf(known) !== call.name) {
          const conflict = refused({ callId: call.id, name: call.name }, Outcome.CONFLICT, modelError("conflict"));
          return refuse(call, scope, request, conflict, parsed.digest);
        }
        if ("replay" in known) return resultWith(known.result, { replayed: true });
        if (request.onProgress !== undefined) known.listen(request.onProgress);
        return waitFor(known, call.name, request);
      }
    }
    const callId = call.id === "" ? randomUUID() : call.id;
    const execution = launched.start({
      call,
      callId,
      tool,
      args,
      digest: parsed.digest,
      scope,
      key,
      lookup: key ?? lookupOf(scope, callId),
      caller: request.caller.name,
      trace: request.trace,
      listener: request.onProgress,
    });
    return waitFor(execution, call.name, request);
  }

  /** What a call under this key repeats: a running execution, or an answer that is kept for repeats. */
  function repeatOf(key: string): Execution | RecentAnswer | undefined {
    const running = claims.running(key);
    if (running !== undefined && !running.cancelled) return running;
    const recent = claims.recent(key);
    return recent?.replay === true ? recent : undefined;
  }

  const launched = launch(launchParts, settleDrain);

  function answer(call: ToolCall, request: ExecutionRequest): Promise<ToolResult> | ToolResult {
    const answered = executeOne(call, request);
    const { maxOutputBytes } = request.caller;
    if (maxOutputBytes === undefined) return answered;
    if (!(answered instanceof Promise)) return fitResult(answered, maxOutputBytes);
    return answered.then((result) => fitResult(result, maxOutputBytes));
  }

  async function find(callId: string, context: CallContext | undefined, caller: Caller) {
    const scope = callScopeFrom(context, caller);
    const lookup = lookupOf(scope, callId);
    const running = claims.running(lookup);
    if (running !== undefined) return { state: CallState.RUNNING, result: undefined };
    const recent = claims.recent(lookup);
    if (recent !== undefined) return { state: CallState.DONE, result: resultWith(recent.result, { callId }) };
    const entry = await ledger.find(lookup).catch((cause: unknown) => {
      throw rpcError("store-unavailable", "", cause);
    });
    return entry === undefined ? undefined : statusOf(entry, callId);
  }

  return {
    execute(call, request) {
      return draining ? Promise.reject(rpcError("draining")) : answer(call, request);
    },
    async executeAll(calls, request) {
      if (draining) throw rpcError("draining");
      batches++;
      try {
        return await executeBatch(calls, request, answer, parts.batchConcurrency ?? 16);
      } finally {
        batches--;
        settleDrain();
      }
    },
    find,
    async wait(callId, context, caller, signal) {
      const scope = callScopeFrom(context, caller);
      const running = claims.running(lookupOf(scope, callId));
      if (running !== undefined) await raceSignal(running.ended, signal);
      for (;;) {
        const status = await find(callId, context, caller);
        if (status?.state !== CallState.RUNNING || signal.aborted) return status;
        await raceSignal(new Promise((resolve) => setTimeout(resolve, 100)), signal);
      }
    },
    get running() {
      return claims.count;
    },
    waiting: () => admissions.waiting(),
    recover: () => takeOverAbandoned(ledger, registry, launched, telemetry.log),
    async erase(tenant, conversationId) {
      claims.forgetConversation(tenant, conversationId);
      repeats.forgetConversation(tenant, conversationId);
      return ledger.erase({ tenant, conversationId });
    },
    async drain(signal) {
      draining = true;
      if (isIdle()) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      drained = resolve;
      await raceSignal(promise, signal);
      for (const execution of claims.all()) execution.cancel();
    },
  };
}

/** Waits for a promise, whatever becomes of it, no longer than until the signal fires. */
function raceSignal(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
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

function toolNameOf(known: Execution | RecentAnswer): string {
  return "toolName" in known ? known.toolName : known.tool.name;
}
