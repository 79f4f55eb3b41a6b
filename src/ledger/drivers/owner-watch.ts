/**
 * Decides which owners are alive, by their heartbeats alone: it depends on no clock of the server or of another
 * process.
 */
export interface OwnerWatch {
  /** Takes the result of our own heartbeat: each owner with its heartbeat count. */
  saw(owners: Iterable<readonly [owner: string, beats: string]>): void;
  /**
   * Owners that have missed their heartbeats, as `owner:beats`. Each is dead only while its count is still the same.
   */
  dead(): string[];
}

interface Seen {
  beats: string;
  missedMs: number;
}

/**
 * Creates the watch. An owner is dead when its count has not changed over `leaseMs` milliseconds of our own heartbeats.
 * Each interval counts for at most `maxIntervalMs`: an outage of the server, or a pause of this process, proves nothing
 * about the others.
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
