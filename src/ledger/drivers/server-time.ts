/** A server's time in Unix milliseconds, carried on by monotonic time since the server last told it. */
export interface ServerTime {
  /** Takes what the server has just said. */
  set(time: number): void;
  known(): boolean;
  now(): number;
}

/** Creates it, unknown at first. */
export function createServerTime(monotonic: () => number = () => performance.now()): ServerTime {
  let offset: number | undefined;
  return {
    set: (time) => {
      offset = time - monotonic();
    },
    known: () => offset !== undefined,
    now: () => Math.round((offset ?? 0) + monotonic()),
  };
}
