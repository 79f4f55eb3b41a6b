/** Pause before the next try, in milliseconds, after `tries` that failed (at least one). */
export type Backoff = (tries: number) => number;

/**
 * Pauses that double from `firstMs` to at most `maxMs`, each cut by up to half by chance, so that what failed together
 * does not come back together.
 */
export function createBackoff(options: { firstMs?: number; maxMs?: number; random?: () => number } = {}): Backoff {
  const { firstMs = 1_000, maxMs = 60_000, random = Math.random } = options;
  return (tries) => {
    const whole = Math.min(maxMs, firstMs * 2 ** Math.min(Math.max(tries, 1) - 1, 30));
    return Math.round(whole * (1 - random() / 2));
  };
}
