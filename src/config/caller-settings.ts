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

/** How requests are signed: the body alone (`hub`), or id, time and body (`standard-webhooks`), by HMAC-SHA256. */
export interface SignatureSettings {
  readonly scheme: "hub" | "standard-webhooks";
  /** Each of them is taken: two live while one replaces the other. */
  readonly secrets: readonly Secret[];
  /** Greatest difference between a request's time and our clock, in seconds. Only of `standard-webhooks`. */
  readonly replayWindowS: number;
}

/** A caller and what proves it: a key, a signature, or both together where both are set. */
export interface KeyedCaller {
  readonly caller: CallerSettings;
  readonly keys: readonly Secret[];
  readonly signature?: SignatureSettings | undefined;
}
