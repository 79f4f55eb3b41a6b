import type { DownstreamTlsConfig, PeerTlsFiles } from "./peer-tls.ts";
import type { TlsConfig } from "./tls.ts";
import type { Isolation, RetryPolicy, SanitizeMode, Tool, ToolLimits } from "../plugin/tool.ts";
import type { ConfiguredAdapter } from "./adapters.ts";
import type { KeyedCaller } from "./caller-settings.ts";
import type { Secret } from "../secret.ts";
import type { Scope } from "./scope.ts";
import type { Env, Environment } from "./environment.ts";

/** One entry of `plugins:`. */
export interface PluginConfig {
  /**
   * Package name, or absolute path of a module file or package folder. For a tool passed as an object, the tool's name.
   */
  readonly use: string;
  /** The tool itself, if it was passed as an object. */
  readonly tool?: Tool | undefined;
  /** Settings for the author's `configSchema`. Secrets in it are still plain text, so it must never be logged. */
  readonly config: Readonly<Record<string, unknown>>;
  /**
   * JSON pointers into `config` of the values that came from `${env:…}`, `${file:…}` or a variable. Never print them.
   */
  readonly secretPaths: readonly string[];
  readonly limits: ToolLimits & { timeoutMs?: number };
  readonly sanitize: SanitizeMode | undefined;
  readonly isolation: Isolation | undefined;
  readonly required: boolean;
  /** Overrides the tool's own retry policy. */
  readonly retry?: RetryPolicy | undefined;
  /** Maximum time until the caller gets an answer, in milliseconds. Jobs wait for the end. */
  readonly answerWithinMs?: number | undefined;
  /** Message that the model reads of a failure, instead of `Tool execution failed or timed out.` */
  readonly fallbackMessage?: string | undefined;
  /**
   * Milliseconds in which a call with a new id, but the same conversation, tool and arguments, gets the first answer.
   * Undefined: off.
   */
  readonly repeatWindowMs: number | undefined;
}

/** Limits, which are the same on all paths. Sizes are in bytes. */
export interface Limits {
  readonly bodyBytes: number;
  readonly argumentsBytes: number;
  /** Levels of nesting. */
  readonly depth: number;
  readonly callsPerRequest: number;
  readonly outputBytes: number;
  readonly downstreamBytes: number;
  readonly streamsPerConnection: number;
}

/** An accepted token issuer. */
export interface OauthConfig {
  /** Its callers are named `NAME:SUBJECT`. */
  readonly name: string;
  readonly issuer: string;
  /** URL of its keys. Undefined: taken from its metadata. */
  readonly jwksUrl: string | undefined;
  /** The resource identifier that clients request a token for. */
  readonly resource: string;
  /** Accepted values of `aud`. */
  readonly audiences: readonly string[];
  /** Claims that contain scopes. */
  readonly scopeClaims: readonly string[];
  /** Maps each of the issuer's scopes to ours. Undefined: scopes have equal names. */
  readonly scopes: Readonly<Record<string, readonly Scope[]>> | undefined;
  readonly tenant: string;
  /** Patterns of the tools that its callers may see and use. Undefined: all tools. */
  readonly tools: readonly string[] | undefined;
}

/** The credential of a tool for its downstream. */
export type CredentialConfig =
  | { readonly kind: "bearer"; readonly token: Secret }
  | { readonly kind: "basic"; readonly username: string; readonly password: Secret }
  | { readonly kind: "header"; readonly name: string; readonly value: Secret }
  | {
      readonly kind: "oauth";
      readonly tokenUrl: string;
      readonly clientId: string;
      readonly clientSecret: Secret;
      readonly scopes: readonly string[];
    };

/** A key that encrypts stored values. */
export interface EncryptionKey {
  /** Stored with each value. */
  readonly id: string;
  /** 32 bytes: see encryption.ts. */
  readonly secret: Secret;
}

/** Price of one call, in the operator's unit: by tool, and by caller and tool, which takes precedence. */
export interface Prices {
  readonly tools: Readonly<Record<string, number>>;
  readonly callers: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** Which spans are recorded; `parentBased` follows the caller's decision if there is one. */
export interface Sampling {
  readonly parentBased: boolean;
  /** From 0 (none) to 1 (all). */
  readonly ratio: number;
}

/** Settings from the standard `OTEL_*` variables. */
export interface OtelConfig {
  readonly serviceName: string;
  readonly resourceAttributes: Readonly<Record<string, string>>;
  /** OTLP/HTTP endpoint for spans. Undefined: no spans are created. */
  readonly traces: OtlpTarget | undefined;
  /** OTLP/HTTP endpoint for metrics, in addition to `/metrics`. Undefined: none. */
  readonly metrics: OtlpTarget | undefined;
  readonly sampling: Sampling;
  /** Interval of metric exports, in milliseconds. */
  readonly metricIntervalMs: number;
}

/** One OTLP endpoint. */
export interface OtlpTarget {
  /** The complete URL, `…/v1/traces` or `…/v1/metrics`. */
  readonly url: string;
  readonly headers: Readonly<Record<string, Secret>>;
  readonly timeoutMs: number;
}

/** The complete, validated configuration. */
export interface Config {
  /** The configuration file that was read. Undefined: there is none. */
  readonly file: string | undefined;
  readonly host: string;
  readonly port: number;
  /** Certificates of the port. Undefined: cleartext. */
  readonly tls: TlsConfig | undefined;
  readonly dataDir: string;
  /** `redis:` or `postgres:` URL of the scale-out engine. Undefined: the embedded store. */
  readonly engineUrl: Secret | undefined;
  /** Certificates for connections to the engine. Undefined: Node's defaults. */
  readonly engineTls: PeerTlsFiles | undefined;
  /** Certificates for connections to downstreams. */
  readonly downstreamTls: DownstreamTlsConfig;
  /** Accepts a Redis that may lose acknowledged work. */
  readonly engineMayLoseWork: boolean;
  readonly plugins: readonly PluginConfig[];
  /** By name. */
  readonly adapters: Readonly<Record<string, ConfiguredAdapter>>;
  readonly callers: readonly KeyedCaller[];
  readonly oauth: readonly OauthConfig[];
  readonly rpc: { readonly allowUnauthenticated: boolean; readonly corsOrigins: readonly string[] };
  readonly ledger: { readonly windowHours: number; readonly uncertainHours: number; readonly readEntries: number };
  /** Retention of dead jobs. */
  readonly jobs: { readonly deadHours: number };
  /**
   * Encryption of stored values: the first key encrypts, all decrypt. Without a key, values are stored in plain form.
   */
  readonly encryption: {
    readonly keys: readonly EncryptionKey[];
    /** Ids of permanently lost keys. */
    readonly lostKeys: readonly string[];
  };
  readonly delivery: { readonly retryForMs: number };
  /** How long new work is accepted after readiness is off, in milliseconds. */
  readonly shutdown: { readonly delayMs: number };
  readonly limits: Limits;
  /** Credentials by name, as tools' settings refer to them. */
  readonly credentials: Readonly<Record<string, CredentialConfig>>;
  /** Maximum number of concurrent requests, by origin of a downstream. */
  readonly inFlight: Readonly<Record<string, number>>;
  readonly prices: Prices;
  /** Private hosts or CIDRs that tools may reach. */
  readonly privateAddresses: readonly string[];
  readonly allowedHosts: readonly string[];
  /** Path of the audit log, or `-` for stderr. */
  readonly auditFile: string;
  readonly logLevel: string;
  readonly otel: OtelConfig;
  /** Whether the sandbox may stand in for missing settings. `auto`: only while no key of any kind is configured. */
  readonly sandbox: "auto" | boolean;
  /** Environment variables for the threads and processes of isolated tools. */
  readonly isolatedEnv: Env;
  /** Reads the variables that plugins declare. */
  readonly environment: Environment;
  /** Valid but questionable settings, one sentence each. Log them once at startup. */
  readonly warnings: readonly string[];
}
