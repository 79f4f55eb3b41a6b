import type { SanitizeMode, SignatureSettings } from "../auth/caller.ts";
import type { KeyHeader, NamedKey } from "../auth/header-keys.ts";
import type { Route } from "./route.ts";

export type {
  AdapterClients,
  AdapterHost,
  Requester,
  Measure,
  Instrument,
  TraceStart,
  RequestTrace,
  AdapterLog,
} from "./host.ts";

/**
 * Translates one outside protocol to the Connect services: data, and pure functions from payloads to calls and from
 * results to payloads. `mountAdapter` does everything that all adapters need.
 */
export interface Adapter {
  /** Name of the platform in logs and metrics. */
  readonly name: string;
  readonly identity: AdapterIdentity;
  readonly routes: readonly Route[];
}

/**
 * How requests are authenticated, and as which caller they act: by the adapter's own keys, each of which is a caller,
 * or as one of the configured callers, like RPCs.
 */
export type AdapterIdentity = KeyIdentity | CallerIdentity;

/**
 * Authentication as one of the configured callers: by `Authorization: Bearer` with a key or a token, by `X-Api-Key`, or by
 * the caller's signature.
 */
export interface CallerIdentity {
  readonly kind: "callers";
  readonly sanitize: SanitizeMode;
  /** Maximum output in bytes. */
  readonly maxOutput: number;
}

/** Authentication by the adapter's own keys, a signature, or both. Without either, every request is accepted. */
export interface KeyIdentity {
  readonly kind: "keys";
  /** Headers that may contain the key. The first one present counts. */
  readonly headers: readonly KeyHeader[];
  /** The first key is the source `NAME` of the adapter, each further one `NAME:KEY`. */
  readonly keys: readonly NamedKey[];
  /** How requests are signed. If keys are configured too, a request needs both; otherwise its source is `NAME`. */
  readonly signature?: SignatureSettings | undefined;
  /** Whether call ids are unique per key. Then calls are deduplicated without a conversation or run. */
  readonly uniqueCallIds?: boolean;
  readonly sanitize: SanitizeMode;
  /** Maximum output in bytes. */
  readonly maxOutput: number;
}
