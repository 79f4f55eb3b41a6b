/** Limits how many requests are under way at once; the others wait in order. */
export interface InFlight {
  readonly running: number;
  readonly waiting: number;
  /** Waits for a place; call what it resolves with to free it. Rejects with the reason of the signal as soon as it fires. */
  enter(signal: AbortSignal): Promise<() => void>;
}

/** A limit of requests in flight. */
export function createInFlight(limit: number): InFlight {
  let running = 0;
  // A Set keeps order and forgets a waiter that gave up in constant time.
  const waiters = new Set<() => void>();

  function leave(): void {
    const next = waiters.values().next();
    if (next.done) {
      running -= 1;
      return;
    }
    waiters.delete(next.value);
    // The place goes to the next in line without ever being free, so that no newcomer takes it.
    next.value();
  }

  return {
    get running() {
      return running;
    },
    get waiting() {
      return waiters.size;
    },
    async enter(signal) {
      signal.throwIfAborted();
      if (running < limit) running += 1;
      else await turn(signal, waiters);
      let left = false;
      return () => {
        if (left) return;
        left = true;
        leave();
      };
    },
  };
}

function turn(signal: AbortSignal, waiters: Set<() => void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const go = (): void => {
      signal.removeEventListener("abort", giveUp);
      resolve();
    };
    const giveUp = (): void => {
      waiters.delete(go);
      reject(signal.reason);
    };
    waiters.add(go);
    signal.addEventListener("abort", giveUp, { once: true });
  });
}
