/** Keeps requests below the platform's rate limit, according to the headers of its answers. */
export interface RatePace {
  /** Number of requests that the platform still allows; undefined if unknown. */
  readonly remaining: number | undefined;
  /** Milliseconds to wait before the next request. */
  waitMs(): number;
  /** Records that a request is sent. */
  sent(): void;
  /** Reads the headers of an answer. Their names are in lower case. */
  update(headers: Readonly<Record<string, string>>): void;
}

/**
 * Number of requests left to other clients that share the limit. When only these remain, requests wait for the next
 * window.
 */
const reserve = 1;
const pauseMs = 1000;
const maxPauseMs = 60_000;

/**
 * Creates the pace from `X-RateLimit-Remaining`, and `X-RateLimit-Reset` in seconds or as Unix time. Without the
 * latter, a pause is 1 s. The wall clock only converts Unix times: a pause lasts no longer if that clock is put back.
 */
export function createRatePace({ wall = Date.now, monotonic = () => performance.now() } = {}): RatePace {
  let remaining: number | undefined;
  let resetAt = 0;

  return {
    get remaining() {
      return remaining;
    },
    waitMs() {
      if (remaining === undefined || remaining > reserve) return 0;
      const wait = Math.ceil(resetAt - monotonic());
      if (wait > 0) return wait;
      // In a new window, the number of allowed requests is unknown until its first answer.
      remaining = undefined;
      return 0;
    },
    sent() {
      if (remaining !== undefined) remaining -= 1;
    },
    update(headers) {
      const left = count(headers["x-ratelimit-remaining"]);
      if (left === undefined) return;
      remaining = left;
      resetAt = monotonic() + resetMs(headers["x-ratelimit-reset"], wall());
    },
  };
}

function count(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text.trim()) ? Number(text) : undefined;
}

function resetMs(text: string | undefined, nowMs: number): number {
  const value = count(text);
  if (value === undefined) return pauseMs;
  // A window of 30 years is implausible, so large numbers are Unix times.
  const ms = value > 1_000_000_000 ? value * 1000 - nowMs : value * 1000;
  return Math.min(Math.max(ms, pauseMs), maxPauseMs);
}
