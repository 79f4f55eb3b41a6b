import type { AdapterSettings } from "../../settings.ts";
import type { Adapter } from "../adapter.ts";
import type { Platform } from "../platform.ts";
import type { AnswerRoute, PollRoute, Reply, RequestFailure } from "../route.ts";
import { isId } from "../tool-call.ts";
import {
  answerText,
  callFromCallback,
  cognigyInstruments,
  createAnswerWriter,
  idFromPayload,
  measureAnswer,
  measureFailure,
  measureLateResult,
  pendingText,
} from "./payloads.ts";
import { cognigyConfiguration, type CognigySettings } from "./settings.ts";

/** NICE Cognigy.AI. */
export const cognigy: Platform<CognigySettings> = {
  ...cognigyConfiguration,
  instruments: cognigyInstruments,
  connect: (settings) => ({ adapter: createCognigyAdapter(settings) }),
};

const unauthorized = "Invalid or missing X-Cognigy-AI-API-Key header. Scope llm:tools:execute required.";

/**
 * Creates the adapter of NICE Cognigy.AI: a callback that is answered in its own request, and a poll for calls that
 * took longer.
 */
export function createCognigyAdapter(
  settings: Omit<AdapterSettings, "allowUnauthenticated" | "enabled"> & CognigySettings,
): Adapter {
  const { answerWithinMs, keys, signature, sanitize, maxOutput } = settings;
  const answer = createAnswerWriter(maxOutput);
  const callback: AnswerRoute = {
    kind: "answer",
    method: "POST",
    path: "/api/v1/llm/tool-callback",
    answerWithinMs,
    cors: { origins: settings.corsOrigins, headers: ["X-Cognigy-AI-API-Key", "Content-Type"] },
    call: callFromCallback,
    answer,
    pending: { limit: settings.maxPending, message: "Correlation context limit reached. Clear stale entries." },
    measureAnswer,
    measureLateResult,
    measureFailure,
    failure: cognigyFailure,
  };
  const poll: PollRoute = {
    kind: "poll",
    method: "GET",
    path: "/api/v1/llm/tool-callback/:tool_call_id",
    callId: ({ tool_call_id: callId }) => (isId(callId) ? callId : undefined),
    answered: (id, result) => ({ status: 200, body: answer({ id }, result) }),
    running: (callId) => ({ status: 202, body: pendingText(callId) }),
    unknown: () => ({ status: 404, body: '{"error":"Unknown tool_call_id"}' }),
    failure: cognigyFailure,
  };
  return {
    name: "cognigy",
    identity: {
      kind: "keys",
      headers: [{ name: "x-cognigy-ai-api-key" }],
      keys,
      signature,
      uniqueCallIds: true,
      sanitize,
      maxOutput,
    },
    routes: [callback, poll],
  };
}

function cognigyFailure({ status, message, payload }: RequestFailure): Reply {
  if (status === 401) return { status, body: JSON.stringify({ error: unauthorized }) };
  if (status === 500)
    return { status, body: answerText(idFromPayload(payload), "Internal processing error. Contact support.") };
  return { status, body: JSON.stringify({ error: message }) };
}
