import { CallState } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { type CallContext, Outcome, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../auth/caller.ts";
import { callKey } from "../ledger/call-key.ts";
import type { CallScope, LedgerEntry } from "../ledger/ledger.ts";
import type { CallStatus } from "./contract.ts";

/** Where a call was made. Its source is the caller's name unless the context names another, which rpc has allowed. */
export function callScopeFrom(context: CallContext | undefined, caller: Caller): CallScope {
  return {
    tenant: caller.tenant,
    source: context?.source || caller.name,
    conversationId: context?.conversationId ?? "",
    sessionId: context?.sessionId ?? "",
    runId: context?.runId ?? "",
    ...(caller.uniqueCallIds === true && { uniqueCallIds: true }),
  };
}

/** What `GetCall` finds a call by: its key; without one, the latest call of this id. */
export function lookupOf(scope: CallScope, callId: string): string {
  return callKey(scope, callId) ?? JSON.stringify([scope.tenant, scope.source, "*", "", callId]);
}

/** The keys under which a call may be found. A caller that asks on behalf of a source may not know whether its ids are unique. */
export function lookupsOf(scope: CallScope, callId: string): string[] {
  const keys = [lookupOf(scope, callId), callKey({ ...scope, uniqueCallIds: true }, callId)];
  return [...new Set(keys.filter((key) => key !== undefined))];
}

/** The status of a call by its ledger entry. */
export function statusOf(entry: LedgerEntry, callId: string): CallStatus {
  if (entry.state === "running") return { state: CallState.RUNNING, result: undefined };
  return {
    state: entry.state === "done" ? CallState.DONE : CallState.UNCERTAIN,
    result: entry.result && { ...entry.result, callId },
  };
}

/** The state of a call that ended with this result. */
export function stateOf({ outcome }: ToolResult): CallState {
  return outcome === Outcome.UNCERTAIN ? CallState.UNCERTAIN : CallState.DONE;
}
