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
 * One outside protocol translated to the Connect services: data, and pure functions that turn payloads into calls and
 * results into payloads. `mountAdapter` does everything that adapters have in common.
 */
export interface Adapter {
  /** Name of the platform in logs and metrics. */
  readonly name: string;
  readonly identity: AdapterIdentity;
  readonly routes: readonly Route[];
}

/**
 * How requests are authenticated, and the caller they act as: by keys of the adapter's own, each a caller of its own, or
 * like the RPC, by the configured callers.
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

/** Authentication by keys of the adapter's own, a signature, or both. Without any of them every request is let in. */
export interface KeyIdentity {
  readonly kind: "keys";
  /** Headers that may carry the key. The first one that is present counts. */
  readonly headers: readonly KeyHeader[];
  /** The first key is the source `NAME` of the adapter, every other one `NAME:KEY`. */
  readonly keys: readonly NamedKey[];
  /** How requests are signed. With keys, a request needs both; without, it is from the source `NAME`. */
  readonly signature?: SignatureSettings | undefined;
  /** Call ids are unique per key: a call is deduplicated without a conversation or run. */
  readonly uniqueCallIds?: boolean;
  readonly sanitize: SanitizeMode;
  /** Maximum output in bytes. */
  readonly maxOutput: number;
}
