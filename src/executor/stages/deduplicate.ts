import { randomUUID } from "node:crypto";
import { Effect, Outcome, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../errors.ts";
import type { CallScope, CallSelector } from "../../ledger/ledger.ts";
import { selects } from "../../ledger/selects.ts";
import type { Execution } from "../execution.ts";
import type { CallMemory, ExecutorParts, RecentAnswer, StageAnswer } from "../stage.ts";
import { errorResult } from "../tool-result.ts";

/**
 * Joins the same call if it runs in this process. Ends the call with its cached answer, or with CONFLICT if this process
 * knows that the call id was used for a different request.
 */
export function deduplicate(execution: Execution, { memory }: ExecutorParts): StageAnswer {
  const { call, scope } = execution;
  const key = callKey(scope, call.id);
  if (key !== undefined) {
    const running = memory.running(key);
    if (running?.answer !== undefined && !running.cancelled) return join(execution, running, running.answer);
    const recent = memory.recent(key);
    if (recent?.replay === true) {
      if (recent.digest === execution.digest && recent.toolName === call.name) {
        if (recent.result !== undefined) return { ...recent.result, replayed: true };
      } else if (execution.effect === Effect.READ) {
        return conflict(execution);
      } else {
        // The ledger may know this call: a `read` does not ask it before it runs.
        execution.isKeyTaken = recent.result !== undefined;
      }
    }
  }
  if (call.id === "") execution.callId = randomUUID();
  execution.key = key;
  execution.lookup = key ?? lookupOf(scope, execution.callId);
  return undefined;
}

function join(execution: Execution, running: Execution, answer: Promise<ToolResult>): StageAnswer {
  if (running.content !== execution.content) return conflict(execution);
  execution.joined = running;
  running.listen(execution.request.onProgress);
  return answer;
}

/** The result of a call whose id was used with other arguments, or for another tool. */
export function conflict(execution: Execution): ToolResult {
  return errorResult(execution, Outcome.CONFLICT, modelError("conflict"));
}

/**
 * Returns the key that identifies repeats of a call: tenant, source, scope and call id. The scope is the most specific
 * of run, conversation and session. Returns undefined if the call cannot be deduplicated: it has no id, or it has no
 * scope and its source does not guarantee that ids are unique without one.
 */
export function callKey(scope: CallScope, callId: string): string | undefined {
  if (callId === "") return undefined;
  const scopeId = scope.runId || scope.conversationId || scope.sessionId;
  if (scopeId === "" && scope.uniqueCallIds !== true) return undefined;
  const kind = scope.runId !== "" ? "r" : scope.conversationId !== "" ? "c" : scope.sessionId !== "" ? "s" : "-";
  return JSON.stringify([scope.tenant, scope.source, kind, scopeId, callId]);
}

/**
 * Returns the key by which `GetCall` finds a call: its own key, or, if it has none, a key for the latest call with this
 * id.
 */
export function lookupOf(scope: CallScope, callId: string): string {
  return callKey(scope, callId) ?? JSON.stringify([scope.tenant, scope.source, "*", "", callId]);
}

/**
 * Returns the keys under which a call may be found. A caller that asks on behalf of a source may not know whether its
 * ids are unique.
 */
export function lookupsOf(scope: CallScope, callId: string): string[] {
  const keys = [lookupOf(scope, callId), callKey({ ...scope, uniqueCallIds: true }, callId)];
  return [...new Set(keys.filter((key) => key !== undefined))];
}

/** Creates the memory of running and recent calls, with at most `maxAnswers` answers. */
export function createCallMemory(maxAnswers: number): CallMemory {
  // An entry that is removed lets go of its execution: the tables that a busy Map abandons live long (see LinkedList).
  const running = new Map<string, { execution: Execution | undefined }>();
  // Cancelled executions whose call has been started again.
  const replaced = new Set<Execution>();
  const recent = createRecentAnswers(maxAnswers);
  let idle: PromiseWithResolvers<void> | undefined;
  return {
    running: (lookup) => (running.size === 0 ? undefined : running.get(lookup)?.execution),
    recent: recent.get,
    start(execution) {
      execution.isRegistered = true;
      const before = running.get(execution.lookup)?.execution;
      if (before !== undefined) replaced.add(before);
      running.set(execution.lookup, { execution });
    },
    end(execution, answer) {
      const { lookup } = execution;
      if (execution.isRegistered) {
        const entry = running.get(lookup);
        if (entry?.execution === execution) {
          entry.execution = undefined;
          running.delete(lookup);
        } else {
          replaced.delete(execution);
        }
        if (idle !== undefined && running.size + replaced.size === 0) {
          idle.resolve();
          idle = undefined;
        }
      }
      if (answer === undefined) recent.delete(lookup);
      else recent.set(lookup, answer);
    },
    forget: recent.forget,
    settle(lookup, result) {
      const cached = recent.get(lookup);
      if (cached?.result !== undefined) recent.set(lookup, { ...cached, result });
    },
    all: () => [...Array.from(running.values(), ({ execution }) => execution as Execution), ...replaced],
    idle() {
      if (running.size + replaced.size === 0) return Promise.resolve();
      return (idle ??= Promise.withResolvers<void>()).promise;
    },
    get count() {
      return running.size + replaced.size;
    },
  };
}

/**
 * Caches the latest answers: between half of `max` and all of it. Of its two maps the older one is dropped as a whole,
 * because removing single entries costs more than all other operations on them.
 */
function createRecentAnswers(max: number) {
  let older = new Map<string, RecentAnswer>();
  let newer = new Map<string, RecentAnswer>();
  return {
    get: (lookup: string): RecentAnswer | undefined => newer.get(lookup) ?? older.get(lookup),
    set(lookup: string, answer: RecentAnswer): void {
      if (newer.size * 2 >= max) {
        if (max === 0) return;
        older = newer;
        newer = new Map();
      }
      newer.set(lookup, answer);
    },
    delete(lookup: string): void {
      newer.delete(lookup);
      older.delete(lookup);
    },
    forget(selector: CallSelector | "all"): number {
      let count = 0;
      for (const answers of [newer, older]) {
        for (const [lookup, { scope, result }] of answers) {
          if (selector !== "all" && !selects(selector, scope)) continue;
          answers.delete(lookup);
          // The ledger counts its own calls.
          if (result !== undefined) count += 1;
        }
      }
      return count;
    },
  };
}
