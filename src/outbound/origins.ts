import type { Metrics } from "../telemetry/telemetry.ts";
import { type Breaker, createBreaker } from "./breaker.ts";
import { createInFlight, type InFlight } from "./in-flight.ts";

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
    if (inFlight.running === 0 && (breaker.state === "closed" || !breaker.blocked)) states.delete(origin);
  }
}
