import type { CallScope, CallSelector } from "./ledger.ts";

/** Tells whether a selector names calls of this scope. One without conversation and run names none. */
export function selects(selector: CallSelector, scope: CallScope): boolean {
  const { tenant, source = "", conversationId = "", runId = "" } = selector;
  if (conversationId === "" && runId === "") return false;
  return (
    scope.tenant === tenant &&
    (source === "" || scope.source === source) &&
    (conversationId === "" || scope.conversationId === conversationId) &&
    (runId === "" || scope.runId === runId)
  );
}
