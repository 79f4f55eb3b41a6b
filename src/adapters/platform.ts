import type { Caller } from "../auth/caller.ts";
import type { TokenSource, TokenSourceOptions } from "../outbound/oauth.ts";
import type { Outbound } from "../outbound/http.ts";
import type { AdapterConfiguration, AdapterSettings } from "../settings.ts";
import type { Adapter, AdapterHost, AdapterLog, Instrument, Measure } from "./adapter.ts";
import type { Delivery } from "./delivery.ts";

/**
 * The complete definition of one platform: its settings, metrics, routes, tokens and deliveries. A new platform is one
 * folder that exports one of these, and one line in `platforms.ts`.
 */
export interface Platform<Own extends object = object> extends AdapterConfiguration<Own> {
  readonly instruments: readonly Instrument[];
  connect(settings: AdapterSettings & Own, parts: PlatformParts): PlatformConnection;
}

/** Dependencies of a platform. */
export interface PlatformParts {
  /** Sends requests to the platform: guarded, limited and traced. */
  readonly send: Outbound["send"];
  /** Creates a source of tokens. Sources with the same URL, client and scopes share one token. */
  tokenSource(options: TokenSourceOptions): TokenSource;
  readonly measure: Measure;
  readonly log: AdapterLog;
  readonly version: string;
  readonly callsPerRequest: number;
  /** Fires when the service shuts down and streams must end. */
  readonly shutdown: AbortSignal;
  readonly service: ServiceAddress;
}

/** The address of the service, the same for all its replicas. */
export interface ServiceAddress {
  /** Host names of the service, besides those of this machine. */
  readonly hosts: readonly string[];
  /** URL of the metadata of the protected resource (RFC 9728). Undefined if tokens are not accepted. */
  readonly metadataUrl: string | undefined;
  /** Deduplication window in milliseconds. */
  readonly windowMs: number;
  /**
   * Returns the secret that signs data which clients send back. Kept in the store; rejects with a ConnectError while
   * the store is unavailable.
   */
  sharedSecret(): Promise<string>;
}

/** A configured platform. */
export interface PlatformConnection {
  readonly adapter: Adapter;
  /** Sends results of jobs to the platform. Undefined if the platform accepts none, or has no credentials. */
  readonly delivery?: Delivery | undefined;
  /** Access to the models for `RunConversation`. */
  readonly modelGateway?: ModelGateway | undefined;
  /** Tokens that tools may use, by the name in their configuration. */
  readonly credentials?: Readonly<Record<string, TokenSource>>;
  /** Serves the same protocol over lines instead of HTTP, if the protocol defines that. */
  readonly serveLines?: ServeLines;
  /** Paths whose `Host` header the adapter checks itself. */
  readonly hostCheckedPaths?: readonly string[];
  /** Notes for readiness about missing configuration, one sentence each. */
  readonly notes?: readonly string[];
}

/** Serves line-based messages. */
export type ServeLines = (parts: {
  readonly caller: Caller;
  readonly host: AdapterHost;
  readonly maxLineLength: number;
  /** Receives each line without its line break. */
  write(line: string): void;
}) => LineServer;

/** A client that sends and receives lines. */
export interface LineServer {
  receive(line: string): void;
  /** Waits for running calls. */
  end(): Promise<void>;
}

/** Access to models. */
export interface ModelGateway {
  readonly baseUrl: string;
  readonly token: TokenSource;
}
