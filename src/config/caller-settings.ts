import type { Scope } from "./scope.ts";
import type { Secret } from "../secret.ts";

/** The configuration of one caller. */
export interface CallerSettings {
  /** Name of the caller. It is the source of its calls unless it may delegate. */
  readonly name: string;
  readonly tenant: string;
  readonly scopes: ReadonlySet<Scope>;
  /** Patterns (`get_*`) of the tools that the caller may see and use. Undefined: all tools. */
  readonly tools: readonly string[] | undefined;
  /** Maximum request rate. Undefined: unlimited. */
  readonly rateLimit?: RateLimit | undefined;
}

/** A rate limit. */
export interface RateLimit {
  readonly requestsPerSecond: number;
  /** Maximum number of requests in a burst after a pause. */
  readonly burst: number;
}

/** How requests are signed by HMAC-SHA256: the body alone (`hub`), or id, time and body (`standard-webhooks`). */
export interface SignatureSettings {
  readonly scheme: "hub" | "standard-webhooks";
  /** All of them are accepted, so that an old and a new secret can overlap. */
  readonly secrets: readonly Secret[];
  /** Maximum difference between a request's time and our clock, in seconds. Only for `standard-webhooks`. */
  readonly replayWindowS: number;
}

/** A caller and its credentials: a key, a signature, or both if both are set. */
export interface KeyedCaller {
  readonly caller: CallerSettings;
  readonly keys: readonly Secret[];
  readonly signature?: SignatureSettings | undefined;
}
