/** State of a breaker. */
export type BreakerState = "closed" | "open" | "half-open";

/** How an admitted request ended for the breaker: `none` says nothing about the downstream. */
export type Ending = "answered" | "failed" | "none";

/** Stops sending to a downstream that does not answer, and finds out when it does again. */
export interface Breaker {
  readonly state: BreakerState;
  /** True while a request would be turned away at once. */
  readonly blocked: boolean;
  /** Admits a request, whose ending must be reported once; undefined where it is turned away. */
  admit(): ((ending: Ending) => void) | undefined;
}

/** What a breaker can be told. */
export interface BreakerOptions {
  /** Consecutive failures that open it. */
  readonly failures: number;
  /** Milliseconds from opening to the first probe. */
  readonly openMs: number;
  /** Monotonic clock in milliseconds. */
  readonly now: () => number;
  readonly changed: (state: BreakerState) => void;
}

/**
 * A breaker that opens after consecutive failures and admits one probe at a time once `openMs` have passed; while the probe
 * is under way all others are still turned away at once.
 */
export function createBreaker({ failures, openMs, now, changed }: BreakerOptions): Breaker {
  let state: BreakerState = "closed";
  let consecutive = 0;
  let openedAt = 0;
  // Endings of requests admitted before the last change say nothing about the state since.
  let era = 0;

  function enter(next: BreakerState): void {
    state = next;
    era += 1;
    changed(next);
  }

  function report(ending: Ending, admittedIn: number): void {
    if (admittedIn !== era) return;
    if (state === "half-open") {
      if (ending === "answered") {
        consecutive = 0;
        enter("closed");
      } else {
        // A probe that was given up leaves the time of opening as it is: the next request probes.
        if (ending === "failed") openedAt = now();
        enter("open");
      }
    } else if (ending === "answered") {
      consecutive = 0;
    } else if (ending === "failed" && ++consecutive >= failures) {
      openedAt = now();
      enter("open");
    }
  }

  const isBlocked = (): boolean => state === "half-open" || (state === "open" && now() - openedAt < openMs);

  return {
    get state() {
      return state;
    },
    get blocked() {
      return isBlocked();
    },
    admit() {
      if (isBlocked()) return undefined;
      if (state === "open") enter("half-open");
      const admittedIn = era;
      return (ending) => report(ending, admittedIn);
    },
  };
}
