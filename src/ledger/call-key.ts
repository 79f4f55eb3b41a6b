import type { CallPlace } from "./ledger.ts";

/**
 * The key by which a repeated call is recognised: tenant, source, scope and call id. The scope is the most specific id of
 * the place: run, conversation or session. Undefined where the call cannot be deduplicated: it has no id, or no scope on a
 * source whose ids are not unique by themselves.
 */
export function callKey(place: CallPlace, callId: string): string | undefined {
  if (callId === "") return undefined;
  const scope = place.runId || place.conversationId || place.sessionId;
  if (scope === "" && !hasUniqueIds(place.source)) return undefined;
  const kind = place.runId !== "" ? "r" : place.conversationId !== "" ? "c" : place.sessionId !== "" ? "s" : "-";
  return JSON.stringify([place.tenant, place.source, kind, scope, callId]);
}

/** Cognigy's call ids are unique per key, so its calls need no scope. */
function hasUniqueIds(source: string): boolean {
  return source === "cognigy" || source.startsWith("cognigy:");
}
