import type { Caller } from "../auth/caller.ts";
import { createConversations } from "../conversations/conversations.ts";
import type { Outbound } from "../outbound/http.ts";
import type { TokenSource } from "../outbound/oauth.ts";
import type { RunConversation } from "../rpc/services/conversations.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { InProcessClients } from "./in-process-clients.ts";

/** Longest content that can still be one of 4096 characters, in bytes of UTF-8: the loop itself counts characters. */
const contentBytes = 4096 * 4;

/** What the runner of conversations is made of. */
export interface ConversationRunnerParts {
  clientsFor(caller: Caller): InProcessClients;
  readonly baseUrl: string;
  readonly token: TokenSource;
  readonly send: Outbound["send"];
  readonly telemetry: Telemetry;
}

/** Makes the loop that runs each conversation with the rights of whoever asked, its tools' answers cut to size. */
export function createConversationRunner({
  clientsFor,
  baseUrl,
  token,
  send,
  telemetry,
}: ConversationRunnerParts): RunConversation {
  const narrowed = new WeakMap<Caller, Caller>();
  const callerOf = (caller: Caller): Caller => {
    let narrow = narrowed.get(caller);
    if (narrow === undefined)
      narrowed.set(
        caller,
        (narrow = { ...caller, rateLimit: undefined, scopes: withReading(caller), maxOutputBytes: contentBytes }),
      );
    return narrow;
  };
  return (request, { caller, signal, trace }) => {
    const { executor } = clientsFor(callerOf(caller));
    return createConversations({ executor, gateway: { baseUrl, token, send }, telemetry }).run(request, {
      signal,
      trace,
      executor,
    });
  };
}

/** Whoever may run a conversation may have the model read what tools there are. */
function withReading(caller: Caller): Caller["scopes"] {
  return new Set([...caller.scopes, "tools:read" as const]);
}
