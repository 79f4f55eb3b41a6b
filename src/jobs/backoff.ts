/** The pause before the next try, in milliseconds, after `tries` failed tries (at least one). */
export type Backoff = (tries: number) => number;

/**
 * Pauses that double from `firstMs` to at most `maxMs`, each shortened at random by up to half, so that jobs that failed together
 * do not come back together.
 */
export function createBackoff(options: { firstMs?: number; maxMs?: number; random?: () => number } = {}): Backoff {
  const { firstMs = 1_000, maxMs = 60_000, random = Math.random } = options;
  return (tries) => {
    const whole = Math.min(maxMs, firstMs * 2 ** Math.min(Math.max(tries, 1) - 1, 30));
    return Math.round(whole * (1 - random() / 2));
  };
}
