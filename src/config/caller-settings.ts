import type { Scope } from "./scope.ts";
import type { Secret } from "../secret.ts";

/** What the configuration says of one caller. */
export interface CallerSettings {
  /** Name of the caller: the source of its calls unless it may delegate. */
  readonly name: string;
  readonly tenant: string;
  readonly scopes: ReadonlySet<Scope>;
  /** Patterns (`get_*`) of the tools that the caller may use and see; undefined means all. */
  readonly tools: readonly string[] | undefined;
  /** How many requests it may send; undefined: any number. */
  readonly rateLimit?: RateLimit | undefined;
}

/** A limit of requests over time. */
export interface RateLimit {
  readonly requestsPerSecond: number;
  /** Requests that may come at once after a pause. */
  readonly burst: number;
}

/** A caller and the keys that prove it. */
export interface KeyedCaller {
  readonly caller: CallerSettings;
  readonly keys: readonly Secret[];
}
