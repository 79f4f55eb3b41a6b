/** Keeps a plugin that crashes again and again from being started again and again. */
export interface Quarantine {
  /** Notes a crash; true where it was one too many. */
  crashed(): boolean;
  /** Why the plugin rests, in words; undefined where it does not. */
  fault(): string | undefined;
}

/** Crashes within `windowMs` that send a plugin to rest, and how long it rests, in milliseconds. */
const rule = { crashes: 5, windowMs: 60_000, restMs: 30_000 };

/** Creates the quarantine of one plugin. `now` is monotonic, in milliseconds. */
export function createQuarantine(now: () => number = () => performance.now()): Quarantine {
  let crashes: number[] = [];
  let until = -Infinity;
  return {
    crashed() {
      const time = now();
      crashes = [...crashes.filter((at) => time - at < rule.windowMs), time];
      if (crashes.length < rule.crashes) return false;
      crashes = [];
      until = time + rule.restMs;
      return true;
    },
    fault() {
      const left = until - now();
      if (left <= 0) return undefined;
      return `it crashed ${rule.crashes} times within a minute and is started again in ${Math.ceil(left / 1000)} s`;
    },
  };
}
