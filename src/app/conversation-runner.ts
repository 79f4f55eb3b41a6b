import { createContextValues } from "@connectrpc/connect";
import type { Context } from "@opentelemetry/api";
import type { Caller } from "../auth/caller.ts";
import { createConversations } from "../conversations/conversations.ts";
import type { GatewayOptions } from "../conversations/gateway.ts";
import type { RunConversation } from "../rpc/services/conversations.ts";
import { kTrace } from "../telemetry/trace-key.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { InProcessClients } from "./in-process-clients.ts";

/** Maximum UTF-8 size of 4096 characters, in bytes. The loop itself counts characters. */
const contentBytes = 4096 * 4;

/** Dependencies of the conversation runner. */
export interface ConversationRunnerParts {
  clientsFor(caller: Caller): InProcessClients;
  readonly gateway: GatewayOptions;
  /** Maximum number of calls executed from one model answer. */
  readonly callsPerRequest: number;
  readonly telemetry: Telemetry;
}

/**
 * Creates the conversation loop. Each conversation has the rights of the caller who started it, and outputs are
 * shortened for the model.
 */
export function createConversationRunner({
  clientsFor,
  gateway,
  callsPerRequest,
  telemetry,
}: ConversationRunnerParts): RunConversation {
  const { tracer, tracing, audit, log } = telemetry;
  const watched: GatewayOptions = {
    ...gateway,
    onRetry: ({ origin, conversationId, attempt, pauseMs }) =>
      log.warn(
        { origin, status: 429, attempt, wait_ms: Math.round(pauseMs), conversation: conversationId },
        "a request is repeated after a pause",
      ),
  };
  const contextValues = (context: Context) => createContextValues().set(kTrace, context);
  const observation = { tracer, tracing, audit, contextValues };
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
    return createConversations({ executor, gateway: watched, observation, callsPerRequest }).run(request, {
      signal,
      trace,
      executor,
    });
  };
}

/** Adds the scope to read tools: a caller who may run a conversation may have the model read the list of tools. */
function withReading(caller: Caller): Caller["scopes"] {
  return new Set([...caller.scopes, "tools:read" as const]);
}
