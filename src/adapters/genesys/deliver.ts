import type { Context } from "@opentelemetry/api";
import type { Job } from "../../../gen/jackfield/v1/jobs_pb.ts";
import { errorMessage } from "../../error-message.ts";
import type { Answer, Outbound } from "../../outbound/http.ts";
import type { TokenSource } from "../../outbound/oauth.ts";
import { retryAfterMs } from "../../outbound/retry.ts";
import { TokenError } from "../../outbound/token-failure.ts";
import { withDeadline } from "../../timing.ts";
import type { Instrument, Measure } from "../adapter.ts";
import { isPathStep } from "./payloads.ts";
import type { Delivery, DeliveryResult } from "../delivery.ts";
import { createRatePace } from "./rate-pace.ts";
import { deliveryBody } from "./translate.ts";

const remaining = "jackfield.genesys.rate_limit.remaining";

/** Metrics of deliveries to Genesys. */
export const genesysInstruments: readonly Instrument[] = [
  { name: remaining, kind: "gauge", description: "Requests that Genesys still allows in this window.", labels: [] },
];

/** Dependencies of deliveries to Genesys. */
export interface GenesysDeliveryOptions {
  readonly apiBaseUrl: string;
  readonly token: TokenSource;
  readonly send: Outbound["send"];
  readonly version: string;
  /** Maximum size of the message of a refused call, in bytes; 65536 by default. */
  readonly maxOutput?: number;
  readonly measure?: Measure | undefined;
  /** Time limit of one request in milliseconds; 10000 by default. */
  readonly timeoutMs?: number;
  /** The wall clock, which converts times in headers. */
  readonly wall?: () => number;
  /** Measures pauses, in milliseconds. */
  readonly monotonic?: () => number;
}

/**
 * Creates the delivery, which makes one attempt to send the results of a job to its run in one request (requirements
 * 001, step 4).
 */
export function createGenesysDelivery(options: GenesysDeliveryOptions): Delivery {
  const { apiBaseUrl, token, send, version, measure, maxOutput = 65_536, timeoutMs = 10_000 } = options;
  const { wall = Date.now } = options;
  const pace = createRatePace(options);
  const base = apiBaseUrl.replace(/\/+$/, "");
  const configuredOrigins = new Set([new URL(base).origin]);

  async function post(job: Job, access: string, signal: AbortSignal, trace: Context | undefined): Promise<Answer> {
    const url = `${base}/api/v2/ai/assistants/runs/${encodeURIComponent(job.context?.runId ?? "")}/tool_calls`;
    const request = {
      method: "POST",
      headers: {
        authorization: `Bearer ${access}`,
        "content-type": "application/json",
        accept: "application/json",
        "user-agent": `Jackfield/${version}`,
        "idempotency-key": job.id,
      },
      body: deliveryBody(job, maxOutput),
    } as const;
    const attributes = () => ({ "jackfield.job.id": job.id, "jackfield.run.id": job.context?.runId ?? "" });
    const answer = await withDeadline(signal, timeoutMs, (within) =>
      send(url, request, { signal: within, configuredOrigins, trace, attributes }),
    );
    pace.update(answer.headers);
    if (pace.remaining !== undefined) measure?.(remaining, {}, pace.remaining);
    return answer;
  }

  async function submit(job: Job, signal: AbortSignal, trace: Context | undefined): Promise<DeliveryResult> {
    const access = await token.get();
    const first = await post(job, access, signal, trace);
    if (first.status !== 401) return verdict(first, wall());
    return verdict(await post(job, await token.refresh(access), signal, trace), wall());
  }

  return async ({ job }, signal, trace): Promise<DeliveryResult> => {
    if (isPathStep(job.context?.runId ?? "")) {
      return { kind: "dead", error: "The run id cannot be part of a path." };
    }
    const waitMs = pace.waitMs();
    if (waitMs > 0) return { kind: "retry", error: "Waiting for Genesys' rate limit to be renewed", afterMs: waitMs };
    pace.sent();
    return submit(job, signal, trace).catch((error: unknown) => failure(error, wall()));
  };
}

function verdict(answer: Answer, nowMs: number): DeliveryResult {
  const { status } = answer;
  // 409: an earlier attempt succeeded, but its answer was lost.
  if ((status >= 200 && status < 300) || status === 409) return { kind: "delivered" };
  const submission = `API submission failed with status ${status}: ${answer.excerpt()}`;
  if (status === 408 || status === 429 || status >= 500)
    return again(submission, retryAfterMs(answer.headers["retry-after"], nowMs));
  if (status === 401 || status === 403) {
    return { kind: "dead", error: `Authentication/Authorization failed: ${status}. ${answer.excerpt()}` };
  }
  return { kind: "dead", error: submission };
}

/** Without an answer, or without a token: the work is done and stored, so a retry is worthwhile. */
function failure(error: unknown, nowMs: number): DeliveryResult {
  const text = errorMessage(error);
  if (error instanceof TokenError) return again(text, retryAfterMs(error.retryAfter, nowMs));
  return again(`API submission failed: ${text}`, undefined);
}

function again(error: string, afterMs: number | undefined): DeliveryResult {
  return afterMs === undefined ? { kind: "retry", error } : { kind: "retry", error, afterMs };
}
