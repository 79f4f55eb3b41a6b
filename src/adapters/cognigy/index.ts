import type { CognigyConfig } from "../../config/config.ts";
import type { Adapter, AnswerRoute, Fault, PollRoute, Reply } from "../adapter.ts";
import { createKeyCheck } from "../api-key.ts";
import { isId } from "../payload.ts";
import { answerText, idFromPayload, pendingText, readCallback } from "./payloads.ts";
import { callFromCallback, measureAnswer, outputFromResult } from "./translate.ts";

const unauthorized = "Invalid or missing X-Cognigy-AI-API-Key header. Scope llm:tools:execute required.";

/** NICE Cognigy.AI: a callback that is answered in its own request, and a poll for what took longer. */
export function createCognigyAdapter(
  config: Pick<CognigyConfig, "answerWithinMs" | "keys" | "maxPending" | "corsOrigins">,
): Adapter {
  const { answerWithinMs } = config;
  const callback: AnswerRoute = {
    kind: "answer",
    method: "POST",
    path: "/api/v1/llm/tool-callback",
    answerWithinMs,
    cors: { origins: config.corsOrigins, headers: ["X-Cognigy-AI-API-Key", "Content-Type"] },
    call: (payload) => callFromCallback(readCallback(payload)),
    answer: (call, result) => answerText(call.id, outputFromResult(result)),
    answered: measureAnswer,
    fault: cognigyFault,
  };
  const poll: PollRoute = {
    kind: "poll",
    method: "GET",
    path: "/api/v1/llm/tool-callback/:tool_call_id",
    answerWithinMs,
    callId: ({ tool_call_id: callId }) => (isId(callId) ? callId : undefined),
    answered: (callId, result) => ({ status: 200, body: answerText(callId, outputFromResult(result)) }),
    running: (callId) => ({ status: 202, body: pendingText(callId) }),
    unknown: () => ({ status: 404, body: '{"error":"Unknown tool_call_id"}' }),
    fault: cognigyFault,
  };
  return {
    name: "cognigy",
    keys: createKeyCheck(config.keys, [{ name: "x-cognigy-ai-api-key" }]),
    pending: { limit: config.maxPending, refusal: "Correlation context limit reached. Clear stale entries." },
    routes: [callback, poll],
  };
}

function cognigyFault({ status, message, payload }: Fault): Reply {
  if (status === 401) return { status, body: JSON.stringify({ error: unauthorized }) };
  if (status === 500)
    return { status, body: answerText(idFromPayload(payload), "Internal processing error. Contact support.") };
  return { status, body: JSON.stringify({ error: message }) };
}
