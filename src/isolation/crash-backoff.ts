/** Prevents a plugin that crashes repeatedly from being restarted all the time. */
export interface CrashBackoff {
  /** Records a crash. */
  crashed(): void;
  /** The reason why the plugin is not started at present; undefined if it may start. */
  problem(): string | undefined;
}

/** Number of crashes within `windowMs` after which a plugin cools down, and the duration of that, in milliseconds. */
const rule = { crashes: 5, windowMs: 60_000, coolDownMs: 30_000 };

/** Creates the backoff of one plugin. `now` is a monotonic clock in milliseconds. */
export function createCrashBackoff(now: () => number = () => performance.now()): CrashBackoff {
  let crashes: number[] = [];
  let until = -Infinity;
  return {
    crashed() {
      const time = now();
      crashes = [...crashes.filter((at) => time - at < rule.windowMs), time];
      if (crashes.length < rule.crashes) return;
      crashes = [];
      until = time + rule.coolDownMs;
    },
    problem() {
      const left = until - now();
      if (left <= 0) return undefined;
      return `it crashed ${rule.crashes} times within a minute and is started again in ${Math.ceil(left / 1000)} s`;
    },
  };
}
