import type { Caller } from "./caller.ts";

interface Bucket {
  /** Number of requests that were allowed at time `at`. */
  tokens: number;
  /** When `tokens` was last computed, on the clock of `performance.now`. */
  at: number;
}

/** Limits each caller's request rate, with a token bucket per caller in this process. */
export interface RateLimiter {
  /** Takes one token. Returns 0, or the number of milliseconds until the next request is allowed. */
  take(caller: Caller): number;
}

/** Creates the limiter. `now` is a monotonic clock in milliseconds. */
export function createRateLimiter(now: () => number = () => performance.now()): RateLimiter {
  const buckets = new Map<string, Bucket>();
  return {
    take({ tenant, name, rateLimit }) {
      if (rateLimit === undefined) return 0;
      const { requestsPerSecond, burst } = rateLimit;
      const key = `${tenant} ${name}`;
      const at = now();
      let bucket = buckets.get(key);
      if (bucket === undefined) buckets.set(key, (bucket = { tokens: burst, at }));
      bucket.tokens = Math.min(burst, bucket.tokens + ((at - bucket.at) / 1000) * requestsPerSecond);
      bucket.at = at;
      if (bucket.tokens < 1) return ((1 - bucket.tokens) / requestsPerSecond) * 1000;
      bucket.tokens -= 1;
      return 0;
    },
  };
}
