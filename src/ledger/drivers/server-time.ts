/** A server's time in Unix milliseconds, advanced by monotonic time since the server's last answer. */
export interface ServerTime {
  /** Takes the server's answer to a request that was sent at this monotonic time. */
  set(time: number, sentAt: number): void;
  known(): boolean;
  now(): number;
  /** How far the server's clock has been moved forward since the first answer, in milliseconds. */
  readonly steppedMs: number;
  /** How far this machine's clock is ahead of the server's, in milliseconds; 0 if the difference is not measurable. */
  readonly skewMs: number;
}

/** Change that a network delay cannot explain, in milliseconds. */
const stepMs = 1_000;

/** Creates it. The time is unknown until the first answer. */
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
