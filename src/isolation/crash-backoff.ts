/** Keeps a plugin that crashes again and again from being started again and again. */
export interface CrashBackoff {
  /** Notes a crash. */
  crashed(): void;
  /** Why the plugin is not started at present, in words; undefined where it is. */
  problem(): string | undefined;
}

/** Crashes within `windowMs` after which a plugin cools down, and for how long, in milliseconds. */
const rule = { crashes: 5, windowMs: 60_000, coolDownMs: 30_000 };

/** Creates the backoff of one plugin. `now` is monotonic, in milliseconds. */
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
