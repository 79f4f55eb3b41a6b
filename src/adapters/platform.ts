import type { Caller } from "../auth/caller.ts";
import type { TokenSource, TokenSourceOptions } from "../outbound/oauth.ts";
import type { Outbound } from "../outbound/http.ts";
import type { AdapterConfiguration, AdapterSettings } from "../settings.ts";
import type { Adapter, AdapterHost, AdapterLog, Instrument, Measure } from "./adapter.ts";
import type { Delivery } from "./delivery.ts";

/**
 * Everything that the service knows of one platform: its settings, metrics, routes, tokens and deliveries. A new platform
 * is one folder that exports one of these, and one line in `platforms.ts`.
 */
export interface Platform<Own extends object = object> extends AdapterConfiguration<Own> {
  readonly instruments: readonly Instrument[];
  connect(settings: AdapterSettings & Own, parts: PlatformParts): PlatformConnection;
}

/** What a platform is connected with. */
export interface PlatformParts {
  /** Sends requests to the platform: guarded, limited and traced. */
  readonly send: Outbound["send"];
  /** Makes a source of tokens. Sources of the same URL, client and scopes share one token. */
  tokenSource(options: TokenSourceOptions): TokenSource;
  readonly measure: Measure;
  readonly log: AdapterLog;
  readonly version: string;
  readonly callsPerRequest: number;
  /** Fires when the service shuts down and its streams have to end. */
  readonly shutdown: AbortSignal;
  readonly service: ServiceAddress;
}

/** Where and how the service is reached, the same for all its replicas. */
export interface ServiceAddress {
  /** Hosts under which it is known, beside this machine's. */
  readonly hosts: readonly string[];
  /** Where the metadata of the protected resource is. Undefined where no tokens are taken. */
  readonly metadataUrl: string | undefined;
  /** How long a call is remembered, in milliseconds. */
  readonly windowMs: number;
  /** Signs what clients send back. Kept in the store; rejects with a ConnectError while that is away. */
  sharedSecret(): Promise<string>;
}

/** A platform with its settings. */
export interface PlatformConnection {
  readonly adapter: Adapter;
  /** Sends results of jobs back. Undefined where the platform takes none, or has no credentials. */
  readonly delivery?: Delivery | undefined;
  /** The models that `RunConversation` talks to. */
  readonly modelGateway?: ModelGateway | undefined;
  /** Tokens that tools may use, by the name under which their configuration asks for them. */
  readonly credentials?: Readonly<Record<string, TokenSource>>;
  /** Serves the same protocol over lines instead of HTTP, where the protocol has such a form. */
  readonly serveLines?: ServeLines;
  /** Paths whose `Host` header the adapter checks itself. */
  readonly hostCheckedPaths?: readonly string[];
  /** What is not configured, for readiness: one sentence each. */
  readonly notes?: readonly string[];
}

/** Serves messages by lines. */
export type ServeLines = (parts: {
  readonly caller: Caller;
  readonly host: AdapterHost;
  readonly maxLineLength: number;
  /** Gets each line without its end. */
  write(line: string): void;
}) => LineServer;

/** A client that sends and receives lines. */
export interface LineServer {
  receive(line: string): void;
  /** Waits for running calls. */
  end(): Promise<void>;
}

/** Where models are reached. */
export interface ModelGateway {
  readonly baseUrl: string;
  readonly token: TokenSource;
}
