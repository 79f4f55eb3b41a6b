import type { Effect, HttpRequest, RetryPolicy, ToolLog } from "../plugin/tool.ts";
import { maxTimerMs } from "../timing.ts";
import { DownstreamError } from "./downstream-error.ts";

const day = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const month = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
const imfDate = `${day}, \\d{2} ${month} \\d{4} \\d{2}:\\d{2}:\\d{2} GMT`;
const rfc850Date = `(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, \\d{2}-${month}-\\d{2} \\d{2}:\\d{2}:\\d{2} GMT`;
const asctimeDate = `${day} ${month} [ \\d]\\d \\d{2}:\\d{2}:\\d{2} \\d{4}`;
const item = `${imfDate}|${rfc850Date}|${asctimeDate}|\\d+(?:\\.\\d+)?`;
const items = new RegExp(item, "g");
const list = new RegExp(`^(?:${item})(?:\\s*,\\s*(?:${item}))*$`);

/** Rules for retrying a request. */
export interface RetryRule {
  readonly policy: RetryPolicy | undefined;
  /** Whether the request may be sent again after it may have reached the downstream. */
  readonly repeatable: boolean;
  /** Deadline, a `performance.now()` value. */
  readonly deadline: number;
  readonly signal: AbortSignal;
  /** Random number from 0 to 1. */
  readonly random: () => number;
  /** Called before each pause. */
  readonly onRetry?: ((reason: DownstreamError, retry: number, pauseMs: number) => void) | undefined;
  /** Waits for a duration in milliseconds, and rejects with the reason of the signal. A timer by default. */
  readonly pause?: ((ms: number, signal: AbortSignal) => Promise<void>) | undefined;
}

/**
 * Reports whether a request may be sent again after it may have reached the downstream: GET and HEAD always; PUT and
 * DELETE, which HTTP defines as idempotent, unless the tool is a `write`; POST and PATCH only with an idempotency key,
 * and not in a `write`, whose downstream is not known to honour it.
 */
export function isRepeatable(request: HttpRequest, effect: Effect): boolean {
  const method = request.method ?? "GET";
  if (method === "GET" || method === "HEAD") return true;
  if (effect === "write") return false;
  return method === "PUT" || method === "DELETE" || request.idempotencyKey !== undefined;
}

/**
 * Returns the pause before retry number `retry` (from 0) in milliseconds: 500 doubling to 2000 unless the policy says
 * otherwise, plus up to a quarter of jitter, so that many callers do not retry together.
 */
export function backoffMs(retry: number, policy: RetryPolicy | undefined, random: () => number): number {
  const { baseMs = 500, maxMs = 2000 } = policy ?? {};
  return Math.min(baseMs * 2 ** retry, Math.max(maxMs, baseMs)) * (1 + random() / 4);
}

/**
 * Waits before the next attempt of a failed request; `retry` is the number of attempts before the failed one. Throws
 * `reason` if there is no next attempt: the failure is permanent, or the next attempt would start past the deadline. A
 * 429 is retried for every request, because nothing was executed; a network failure only if nothing was sent or the
 * request is repeatable.
 */
export async function pauseBeforeRetry(rule: RetryRule, retry: number, reason: unknown): Promise<void> {
  const { policy, signal, deadline } = rule;
  signal.throwIfAborted();
  if (retry >= (policy?.retries ?? 3) || !isRetried(reason, rule.repeatable)) throw reason;
  const requestedMs = retryAfterMs(reason.retryAfter);
  // `Retry-After: 0` must not cause a hot loop: the first backoff is the minimum.
  const pauseMs =
    requestedMs === undefined ? backoffMs(retry, policy, rule.random) : Math.max(requestedMs, policy?.baseMs ?? 500);
  if (performance.now() + pauseMs >= deadline) throw reason;
  rule.onRetry?.(reason, retry, pauseMs);
  await (rule.pause ?? wait)(pauseMs, signal);
}

/** Creates a callback that logs each retried request to an origin. */
export function logRetries(log: (() => ToolLog) | undefined, origin: string): RetryRule["onRetry"] {
  if (log === undefined) return undefined;
  return ({ status, problem }, retry, pauseMs) =>
    log().warn("a request is repeated after a pause", {
      origin,
      attempt: retry + 1,
      wait_ms: Math.round(pauseMs),
      ...(status === undefined ? { problem } : { status }),
    });
}

function isRetried(reason: unknown, repeatable: boolean): reason is DownstreamError {
  if (!(reason instanceof DownstreamError)) return false;
  if (reason.problem === "network") return repeatable || !reason.sent;
  return reason.status === 429;
}

/**
 * Parses a `Retry-After` value to milliseconds: seconds, or an HTTP date in any of its three forms, limited to the
 * range from 0 to the maximum of a timer. Undefined for anything else, negative numbers included. For a repeated
 * header, joined by commas, the longest duration counts. Source: RFC 9110, section 10.2.3.
 */
export function retryAfterMs(value: string | undefined, nowMs: number = Date.now()): number | undefined {
  const text = value?.trim();
  // The length limit bounds the cost of a hostile header.
  if (!text || text.length > 512 || !list.test(text)) return undefined;
  const waits = Array.from(text.matchAll(items), ([found]) => itemMs(found, nowMs)).filter((ms) => !Number.isNaN(ms));
  if (waits.length === 0) return undefined;
  return Math.min(Math.max(0, ...waits), maxTimerMs);
}

function itemMs(text: string, nowMs: number): number {
  if (/^\d/.test(text)) return Number(text) * 1000;
  // asctime has no zone and means GMT; Date.parse would read it as local time.
  return Date.parse(text.endsWith("GMT") ? text : `${text} GMT`) - nowMs;
}

/** Waits for a duration in milliseconds. Rejects with the reason of the signal as soon as it fires. */
export function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(
      () => {
        signal.removeEventListener("abort", abort);
        resolve();
      },
      Number.isFinite(ms) ? Math.min(Math.max(ms, 0), maxTimerMs) : maxTimerMs,
    );
    signal.addEventListener("abort", abort, { once: true });
  });
}
