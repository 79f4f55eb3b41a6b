/** Judges which owners live, by heartbeats alone: no clock of a server or of another process is asked. */
export interface OwnerWatch {
  /** Takes what a heartbeat of our own found: each owner with the number of its heartbeats. */
  saw(owners: Iterable<readonly [owner: string, beats: string]>): void;
  /** The owners that have missed their heartbeats, as `owner:beats`: valid as long as the number is still the same. */
  dead(): string[];
}

interface Seen {
  beats: string;
  missedMs: number;
}

/**
 * Creates the watch. An owner is dead when its number has not changed over `leaseMs` milliseconds of our own heartbeats.
 * One interval counts for `maxIntervalMs` at most: an outage of the server, or a pause of this process, says nothing of
 * the others.
 */
export function createOwnerWatch(options: {
  leaseMs: number;
  maxIntervalMs: number;
  monotonic?: () => number;
}): OwnerWatch {
  const { leaseMs, maxIntervalMs, monotonic = () => performance.now() } = options;
  let seen = new Map<string, Seen>();
  let lastAt: number | undefined;

  return {
    saw(owners) {
      const now = monotonic();
      const interval = lastAt === undefined ? 0 : Math.min(now - lastAt, maxIntervalMs);
      lastAt = now;
      const before = seen;
      seen = new Map();
      for (const [owner, beats] of owners) {
        const known = before.get(owner);
        const missedMs = known?.beats === beats ? known.missedMs + interval : 0;
        seen.set(owner, { beats, missedMs });
      }
    },
    dead: () => [...seen].flatMap(([owner, { beats, missedMs }]) => (missedMs >= leaseMs ? [`${owner}:${beats}`] : [])),
  };
}
