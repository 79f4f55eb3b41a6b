import type { Effect, HttpRequest, RetryPolicy } from "../plugin/tool.ts";
import { DownstreamError } from "./downstream-error.ts";
import { retryAfterMs } from "./retry-after.ts";
import { wait } from "./wait.ts";

/** What repeating a request depends on. */
export interface RetryRule {
  readonly policy: RetryPolicy | undefined;
  /** Whether a request that may have reached the downstream can be sent again. */
  readonly repeatable: boolean;
  /** By `performance.now()`. */
  readonly deadline: number;
  readonly signal: AbortSignal;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Waits for a time in milliseconds, and rejects with the reason of the signal. By a timer where it is left out. */
  readonly pause?: ((ms: number, signal: AbortSignal) => Promise<void>) | undefined;
}

/**
 * Tells whether a request that may have reached the downstream can be sent again: GET and HEAD always; PUT and DELETE,
 * which HTTP calls idempotent, unless the tool is a `write`; POST and PATCH only with an idempotency key, and not in a
 * `write`, whose downstream is not known to honour it.
 */
export function isRepeatable(request: HttpRequest, effect: Effect): boolean {
  const method = request.method ?? "GET";
  if (method === "GET" || method === "HEAD") return true;
  if (effect === "write") return false;
  return method === "PUT" || method === "DELETE" || request.idempotencyKey !== undefined;
}

/**
 * Milliseconds before retry number `retry` (from 0): 500 doubling to 2000 unless the policy says otherwise, and up to a
 * quarter more by chance, so that many callers do not come back at once.
 */
export function backoffMs(retry: number, policy: RetryPolicy | undefined, random: () => number): number {
  const { baseMs = 500, maxMs = 2000 } = policy ?? {};
  return Math.min(baseMs * 2 ** retry, Math.max(maxMs, baseMs)) * (1 + random() / 4);
}

/**
 * Runs `attempt` until it succeeds, fails for good, or the next try would begin past the deadline: then the last error is
 * thrown at once. Repeats a 429, which says that nothing was done, of every request, and a network failure where nothing
 * was sent or the request is repeatable.
 */
export async function withRetries<T>(rule: RetryRule, attempt: (retry: number) => Promise<T>): Promise<T> {
  const { policy, signal, deadline } = rule;
  for (let retry = 0; ; retry += 1) {
    try {
      return await attempt(retry);
    } catch (reason) {
      signal.throwIfAborted();
      if (retry >= (policy?.retries ?? 3) || !isRetried(reason, rule.repeatable)) throw reason;
      const asked = reason.status === 429 ? retryAfterMs(reason.retryAfter) : undefined;
      // `Retry-After: 0` must not turn the loop into a hammer: the first backoff is the least.
      const pauseMs =
        asked === undefined ? backoffMs(retry, policy, rule.random) : Math.max(asked, policy?.baseMs ?? 500);
      if (performance.now() + pauseMs >= deadline) throw reason;
      await (rule.pause ?? wait)(pauseMs, signal);
    }
  }
}

function isRetried(reason: unknown, repeatable: boolean): reason is DownstreamError {
  if (!(reason instanceof DownstreamError)) return false;
  if (reason.fault === "network") return repeatable || !reason.sent;
  return reason.status === 429;
}
