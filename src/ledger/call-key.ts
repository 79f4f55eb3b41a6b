import type { CallScope } from "./ledger.ts";

/**
 * The key that identifies repeats of a call: tenant, source, scope and call id. The scope is the most specific of run,
 * conversation and session. Undefined where the call cannot be deduplicated: it has no id, or it has no scope and its
 * source does not promise ids that are unique by themselves.
 */
export function callKey(scope: CallScope, callId: string): string | undefined {
  if (callId === "") return undefined;
  const scopeId = scope.runId || scope.conversationId || scope.sessionId;
  if (scopeId === "" && scope.uniqueCallIds !== true) return undefined;
  const kind = scope.runId !== "" ? "r" : scope.conversationId !== "" ? "c" : scope.sessionId !== "" ? "s" : "-";
  return JSON.stringify([scope.tenant, scope.source, kind, scopeId, callId]);
}
