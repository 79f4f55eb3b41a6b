/** Keeps us below the platform's rate limit by what its answers say of it. */
export interface RatePace {
  /** What the platform still allows, as far as is known. */
  readonly remaining: number | undefined;
  /** Milliseconds to wait before the next request. */
  waitMs(): number;
  /** A request goes out. */
  sent(): void;
  /** Reads the headers of an answer. Their names are in lower case. */
  update(headers: Readonly<Record<string, string>>): void;
}

/** Requests left to others who share the limit; from here on we wait for the next window. */
const reserve = 1;
const pauseMs = 1000;
const maxPauseMs = 60_000;

/**
 * Reads `X-RateLimit-Remaining`, and `X-RateLimit-Reset` in seconds or as Unix time; without the latter a pause is 1 s.
 */
export function createRatePace(now: () => number): RatePace {
  let remaining: number | undefined;
  let resetAt = 0;

  return {
    get remaining() {
      return remaining;
    },
    waitMs() {
      if (remaining === undefined || remaining > reserve) return 0;
      const wait = resetAt - now();
      if (wait > 0) return Math.min(wait, maxPauseMs);
      // A new window: what it allows is not known before its first answer.
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
      resetAt = now() + resetMs(headers["x-ratelimit-reset"], now());
    },
  };
}

function count(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text.trim()) ? Number(text) : undefined;
}

function resetMs(text: string | undefined, nowMs: number): number {
  const value = count(text);
  if (value === undefined) return pauseMs;
  // Nobody announces a window of 30 years: large numbers are times.
  const ms = value > 1_000_000_000 ? value * 1000 - nowMs : value * 1000;
  return Math.min(Math.max(ms, pauseMs), maxPauseMs);
}
