/** Returns the time in Unix milliseconds. */
export type Clock = () => number;

/**
 * Creates a clock that starts at the wall clock and advances by monotonic time, so that setting the machine's clock has
 * no effect on a running process. `notBefore` is the last time known from an earlier process: the clock never starts
 * before it, so that a clock set back between two processes does not make old entries look new.
 */
export function createClock(options: { wall?: Clock; monotonic?: Clock; notBefore?: number } = {}): Clock {
  const { wall = Date.now, monotonic = () => performance.now(), notBefore = 0 } = options;
  const start = Math.max(wall(), notBefore);
  const zero = monotonic();
  return () => start + Math.max(0, Math.floor(monotonic() - zero));
}
