import type { Metrics } from "../telemetry/telemetry.ts";

/** What is kept of one origin, across all tools. */
export interface OriginState {
  readonly breaker: Breaker;
  readonly inFlight: InFlight;
}

/** What the states of origins are made with. */
export interface OriginOptions {
  readonly inFlightPerOrigin: (origin: string) => number;
  readonly breakerFailures: number;
  readonly breakerOpenMs: number;
  readonly now: () => number;
  readonly metrics: Pick<Metrics, "breakerChanged">;
}

const remembered = 1000;

/** Finds the state of an origin, and makes it at the first request. Idle ones are forgotten when there are many. */
export function createOrigins(options: OriginOptions): (origin: string) => OriginState {
  const states = new Map<string, OriginState>();
  return (origin) => {
    const known = states.get(origin);
    if (known !== undefined) return known;
    // Origins can come from a model's arguments: their number is not ours.
    if (states.size >= remembered) forgetIdle(states);
    const state: OriginState = {
      inFlight: createInFlight(options.inFlightPerOrigin(origin)),
      breaker: createBreaker({
        failures: options.breakerFailures,
        openMs: options.breakerOpenMs,
        now: options.now,
        changed: (to) => options.metrics.breakerChanged(origin, to),
      }),
    };
    states.set(origin, state);
    return state;
  };
}

function forgetIdle(states: Map<string, OriginState>): void {
  for (const [origin, { breaker, inFlight }] of states) {
    if (inFlight.running === 0 && !breaker.blocked) states.delete(origin);
  }
}

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

/** Limits how many requests are under way at once; the others wait in order. */
export interface InFlight {
  readonly running: number;
  readonly waiting: number;
  /**
   * Takes a slot, or waits for one: then it returns a promise that rejects with the reason of the signal as soon as it fires.
   * Throws that reason where it has fired already. Call `leave` once for each slot.
   */
  enter(signal: AbortSignal): Promise<void> | undefined;
  leave(): void;
}

/** A limit of requests in flight. */
export function createInFlight(limit: number): InFlight {
  let running = 0;
  // A Set keeps order and forgets a waiter that gave up in constant time.
  const waiters = new Set<() => void>();

  return {
    get running() {
      return running;
    },
    get waiting() {
      return waiters.size;
    },
    enter(signal) {
      signal.throwIfAborted();
      if (running >= limit) return waitForSlot(signal, waiters);
      running += 1;
      return undefined;
    },
    leave() {
      const next = waiters.values().next();
      if (next.done) {
        running -= 1;
        return;
      }
      waiters.delete(next.value);
      // The slot goes to the next in line without ever being free, so that no newcomer takes it.
      next.value();
    },
  };
}

function waitForSlot(signal: AbortSignal, waiters: Set<() => void>): Promise<void> {
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
