/** Returns the pause before the next attempt in milliseconds, after `tries` failed attempts (at least one). */
export type Backoff = (tries: number) => number;

/**
 * Creates a backoff whose pauses double from `firstMs` to at most `maxMs`. Each pause is shortened at random by up to
 * half, so that jobs that failed together do not retry together.
 */
export function createBackoff(options: { firstMs?: number; maxMs?: number; random?: () => number } = {}): Backoff {
  const { firstMs = 1_000, maxMs = 60_000, random = Math.random } = options;
  return (tries) => {
    const whole = Math.min(maxMs, firstMs * 2 ** Math.min(Math.max(tries, 1) - 1, 30));
    return Math.round(whole * (1 - random() / 2));
  };
}
