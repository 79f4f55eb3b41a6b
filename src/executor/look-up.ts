import { CallState } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import type { CallContext } from "../../gen/jackfield/v1/tool_pb.ts";
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
  };
}

/** What `GetCall` finds a call by: its key; without one, the latest call of this id. */
export function lookupOf(scope: CallScope, callId: string): string {
  return callKey(scope, callId) ?? JSON.stringify([scope.tenant, scope.source, "*", "", callId]);
}

/** The status of a call by its ledger entry. */
export function statusOf(entry: LedgerEntry, callId: string): CallStatus {
  if (entry.state === "running") return { state: CallState.RUNNING, result: undefined };
  return {
    state: entry.state === "done" ? CallState.DONE : CallState.UNCERTAIN,
    result: entry.result && { ...entry.result, callId },
  };
}
