import type { Metrics } from "../telemetry/telemetry.ts";
import type { Pacer } from "../timing.ts";

/** State of one origin, shared by all tools. */
export interface OriginState {
  readonly breaker: Breaker;
  readonly inFlight: InFlight;
}

/** Options for the states of origins. */
export interface OriginOptions {
  readonly inFlightPerOrigin: (origin: string) => number;
  readonly breakerFailures: number;
  readonly breakerOpenMs: number;
  readonly now: () => number;
  readonly metrics: Pick<Metrics, "breakerChanged">;
  /** Paces requests that get the slot of another one. */
  readonly pace: Pacer;
}

const remembered = 1000;

/**
 * Returns a function that finds the state of an origin, creating it on first use. Idle states are evicted when there
 * are many.
 */
export function createOrigins(options: OriginOptions): (origin: string) => OriginState {
  const states = new Map<string, OriginState>();
  return (origin) => {
    const known = states.get(origin);
    if (known !== undefined) return known;
    // Origins may come from a model's arguments, so their number is unbounded.
    if (states.size >= remembered) forgetIdle(states, options.metrics);
    const state: OriginState = {
      inFlight: createInFlight(options.inFlightPerOrigin(origin), options.pace),
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

function forgetIdle(states: Map<string, OriginState>, metrics: OriginOptions["metrics"]): void {
  for (const [origin, { breaker, inFlight }] of states) {
    if (inFlight.running > 0 || breaker.blocked) continue;
    states.delete(origin);
    // The next request to the origin gets a new breaker, which is closed.
    if (breaker.state !== "closed") metrics.breakerChanged(origin, "closed");
  }
}

/** State of a circuit breaker. */
export type BreakerState = "closed" | "open" | "half-open";

/** The end of an admitted request: `none` says nothing about the downstream. */
export type Ending = "answered" | "failed" | "none";

/** A circuit breaker: stops sending to a downstream that does not answer, and probes for its recovery. */
export interface Breaker {
  readonly state: BreakerState;
  /** True while requests are rejected at once. */
  readonly blocked: boolean;
  /** Admits a request, whose ending must be reported once. Returns undefined if the request is rejected. */
  admit(): ((ending: Ending) => void) | undefined;
}

/** Options of a circuit breaker. */
export interface BreakerOptions {
  /** Number of consecutive failures that open it. */
  readonly failures: number;
  /** Milliseconds from opening to the first probe. */
  readonly openMs: number;
  /** Monotonic clock in milliseconds. */
  readonly now: () => number;
  readonly changed: (state: BreakerState) => void;
}

/**
 * Creates a circuit breaker that opens after consecutive failures, and admits one probe at a time once `openMs` have
 * passed. During a probe all other requests are still rejected.
 */
export function createBreaker({ failures, openMs, now, changed }: BreakerOptions): Breaker {
  let state: BreakerState = "closed";
  let consecutive = 0;
  let openedAt = 0;
  // Endings of requests that were admitted before the last state change say nothing about the current state.
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
        // An abandoned probe does not change the time of opening: the next request probes.
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

/** Limits concurrent requests; further ones wait in order. */
export interface InFlight {
  readonly running: number;
  readonly waiting: number;
  /**
   * Takes a slot. If none is free, returns a promise for one, which rejects with the signal's reason when the signal
   * fires. Throws that reason if the signal has already fired. Call `leave` once per slot.
   */
  enter(signal: AbortSignal): Promise<void> | undefined;
  leave(): void;
}

/** Creates a limit of concurrent requests. */
export function createInFlight(limit: number, pace: Pacer): InFlight {
  let running = 0;
  // A Set keeps insertion order and removes an abandoned waiter in constant time.
  const waiters = new Set<() => void>();

  // The slot passes directly to the next waiter, so that no newcomer takes it. Paced, because once the breaker has
  // opened, each waiter fails and lets the next one go in the same turn of the event loop.
  function handOver(): void {
    const next = waiters.values().next();
    if (next.done) {
      running -= 1;
      return;
    }
    waiters.delete(next.value);
    next.value();
  }

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
      if (waiters.size === 0) running -= 1;
      else pace(handOver);
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
