/** A server's time in Unix milliseconds, carried on by monotonic time since the server last answered. */
export interface ServerTime {
  /** Takes the server's answer to a request that was sent at this monotonic time. */
  set(time: number, sentAt: number): void;
  known(): boolean;
  now(): number;
  /** By how much the server's clock has been put forward since the first answer, in milliseconds. */
  readonly steppedMs: number;
  /** How much this machine's clock is ahead of the server's, in milliseconds; 0 where the difference is within what can be told. */
  readonly skewMs: number;
}

/** A change that no network delay explains, in milliseconds. */
const stepMs = 1_000;

/** Creates it, unknown at first. */
export function createServerTime(options: { monotonic?: () => number; wall?: () => number } = {}): ServerTime {
  const { monotonic = () => performance.now(), wall = Date.now } = options;
  let offset: number | undefined;
  let steppedMs = 0;
  let skewMs = 0;
  return {
    set(time, sentAt) {
      const now = monotonic();
      const uncertainty = (now - sentAt) / 2;
      const next = time - (now - uncertainty);
      const change = next - (offset ?? next);
      if (Math.abs(change) - uncertainty > stepMs) steppedMs = Math.max(0, steppedMs + change);
      offset = next;
      const skew = wall() - uncertainty - time;
      skewMs = Math.abs(skew) > uncertainty ? skew : 0;
    },
    known: () => offset !== undefined,
    now: () => Math.round((offset ?? 0) + monotonic()),
    get steppedMs() {
      return Math.round(steppedMs);
    },
    get skewMs() {
      return Math.round(skewMs);
    },
  };
}
