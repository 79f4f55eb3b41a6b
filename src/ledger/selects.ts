import type { CallScope, CallSelector } from "./ledger.ts";

/** Reports whether a selector matches calls of this scope. A selector without conversation and run matches none. */
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
