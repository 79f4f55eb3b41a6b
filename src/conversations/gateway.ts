import type { JsonObject } from "@bufbuild/protobuf";
import { type Context, ROOT_CONTEXT } from "@opentelemetry/api";
import { rpcError } from "../errors.ts";
import { withDeadline } from "../timing.ts";
import type { OpenaiTool } from "../definitions/openai.ts";
import type { Answer, Outbound, SendScope } from "../outbound/http.ts";
import type { TokenSource } from "../outbound/oauth.ts";
import { retryAfterMs, wait } from "../outbound/retry.ts";
import { TokenError } from "../outbound/token-failure.ts";
import { type ModelAnswer, modelAnswerFrom } from "./model-answer.ts";

/** Address of the LLM Gateway and how to reach it. */
export interface GatewayOptions {
  /** Base URL, to which `/api/v2/…` is appended. */
  readonly baseUrl: string;
  readonly token: TokenSource;
  readonly send: Outbound["send"];
  /** Random number from 0 to 1, for the jitter. */
  readonly random?: () => number;
  /** Waits for a duration in milliseconds. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Called before each pause. `attempt` counts from 1. */
  readonly onRetry?: (retry: GatewayRetry) => void;
  /** Timeout of one request in milliseconds; 30000 by default. */
  readonly timeoutMs?: number;
}

/** A retry of a request that the gateway was too busy for. */
export interface GatewayRetry {
  readonly origin: string;
  readonly conversationId: string;
  readonly attempt: number;
  readonly pauseMs: number;
}

/** One request to the model. */
export interface ModelRequest {
  readonly model: string;
  readonly messages: readonly JsonObject[];
  readonly tools: readonly OpenaiTool[];
  readonly conversationId: string;
}

/** Sends one request to the model. Rejects with `unavailable`, `resource_exhausted` or the signal's reason. */
export type RequestModel = (request: ModelRequest, signal: AbortSignal, trace?: Context) => Promise<ModelAnswer>;

/** Trace of a request, and the ids on its spans. */
type GatewayScope = Pick<SendScope, "trace" | "attributes">;

const path = "/api/v2/ai-builder/llm-gateway/conversations";
const attempts = 3;
/**
 * Maximum pause that is waited for, in milliseconds. If the gateway asks for a longer one, the request fails with
 * `resource_exhausted`.
 */
const maxPauseMs = 120_000;

/** Creates the function that sends requests to the model. A 429 is retried after a pause, a 401 once with a new token. */
export function createGateway(options: GatewayOptions): RequestModel {
  const { baseUrl, token, send, random = Math.random, sleep = wait, timeoutMs = 30_000 } = options;
  const url = baseUrl.replace(/\/+$/, "") + path;
  const configuredOrigins: ReadonlySet<string> = new Set([new URL(baseUrl).origin]);

  async function post(body: JsonObject, bearer: string, signal: AbortSignal, scope: GatewayScope): Promise<Answer> {
    const request = { method: "POST", headers: { authorization: `Bearer ${bearer}` }, json: body } as const;
    let late = false;
    try {
      return await withDeadline(signal, timeoutMs, async (within) => {
        try {
          return await send(url, request, { signal: within, configuredOrigins, ...scope });
        } finally {
          late = within.aborted;
        }
      });
    } catch (reason) {
      signal.throwIfAborted();
      const message = late ? `did not answer within ${timeoutMs / 1000} s` : "could not be reached";
      throw rpcError("gateway-failed", message, reason);
    }
  }

  async function authorized(body: JsonObject, signal: AbortSignal, scope: GatewayScope): Promise<Answer> {
    const current = await named(token.get());
    const answer = await post(body, current, signal, scope);
    return answer.status === 401 ? post(body, await named(token.refresh(current)), signal, scope) : answer;
  }

  return async ({ model, messages, tools, conversationId }, signal, trace = ROOT_CONTEXT) => {
    const scope: GatewayScope = { trace, attributes: () => ({ "gen_ai.conversation.id": conversationId }) };
    const body = { model, messages, tools, stream: false } as unknown as JsonObject;
    for (let attempt = 0; ; attempt += 1) {
      signal.throwIfAborted();
      const answer = await authorized(body, signal, scope);
      if (answer.status >= 200 && answer.status < 300) return modelAnswerFrom(answer);
      if (answer.status !== 429) throw rpcError("gateway-failed", `answered ${answer.status}: ${answer.excerpt()}`);
      const pause = pauseMs(answer.headers["retry-after"], attempt, random);
      if (attempt + 1 >= attempts || pause > maxPauseMs) throw rpcError("gateway-busy");
      options.onRetry?.({ origin: new URL(url).origin, conversationId, attempt: attempt + 1, pauseMs: pause });
      await sleep(pause, signal);
    }
  };
}

/**
 * Returns the pause in milliseconds after a 429 to attempt number `attempt` (from 0): the duration that the gateway
 * requests, but at least half a second. Without a readable `Retry-After` it is 2^attempt seconds plus up to one second of
 * jitter, between 2 and 30 seconds.
 */
export function pauseMs(retryAfter: string | undefined, attempt: number, random: () => number): number {
  const requestedMs = retryAfterMs(retryAfter);
  if (requestedMs !== undefined) return Math.max(requestedMs, 500);
  return Math.max(2000, Math.min(2 ** attempt + random(), 30) * 1000);
}

async function named(token: Promise<string>): Promise<string> {
  try {
    return await token;
  } catch (reason) {
    throw reason instanceof TokenError
      ? rpcError("gateway-failed", `cannot be used: ${reason.message}`, reason)
      : reason;
  }
}
