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
  /** Package name, or absolute path of a module file or a package folder. The tool's name where it is given by object. */
  readonly use: string;
  /** The tool, where it is given by object. */
  readonly tool?: Tool | undefined;
  /** As the author's `configSchema` wants it; secrets are still plain here and never logged. */
  readonly config: Readonly<Record<string, unknown>>;
  /** JSON pointers into `config` of the values that came from `${env:…}`, `${file:…}` or a variable: never printed. */
  readonly secretPaths: readonly string[];
  readonly limits: ToolLimits & { timeoutMs?: number };
  readonly sanitize: SanitizeMode | undefined;
  readonly isolation: Isolation | undefined;
  readonly required: boolean;
  /** Over what the tool declares. */
  readonly retry?: RetryPolicy | undefined;
  /** Longest time until its caller gets an answer, in milliseconds. */
  readonly answerWithinMs?: number | undefined;
  /** What the model reads of a failure instead of `Tool execution failed or timed out.` */
  readonly fallbackMessage?: string | undefined;
  /**
   * Milliseconds in which the same conversation, tool and arguments under a new id get the first answer. Undefined: off.
   */
  readonly repeatWindowMs: number | undefined;
}

/** Limits, the same on all paths. Sizes in bytes. */
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

/** One issuer of tokens that are taken. */
export interface OauthConfig {
  /** Callers are `NAME:SUBJECT`. */
  readonly name: string;
  readonly issuer: string;
  /** Where its keys are; undefined: as its metadata says. */
  readonly jwksUrl: string | undefined;
  /** The address that clients ask a token for. */
  readonly resource: string;
  /** Values of `aud` that are taken. */
  readonly audiences: readonly string[];
  /** Claims that hold scopes. */
  readonly scopeClaims: readonly string[];
  /** What each scope of the issuer lets a caller do; undefined: equal names. */
  readonly scopes: Readonly<Record<string, readonly Scope[]>> | undefined;
  readonly tenant: string;
  /** Patterns of the tools that its callers may use and see; undefined means all. */
  readonly tools: readonly string[] | undefined;
}

/** What proves a tool to its downstream. */
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

/** A key that stored values are encrypted with. */
export interface EncryptionKey {
  /** Written beside each value. */
  readonly id: string;
  /** 32 bytes: see encryption.ts. */
  readonly secret: Secret;
}

/** What one call costs, in whatever unit the operator counts in: by tool, and by caller and tool, which goes first. */
export interface Prices {
  readonly tools: Readonly<Record<string, number>>;
  readonly callers: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** Which spans are recorded; `parentBased` follows the caller's decision where there is one. */
export interface Sampling {
  readonly parentBased: boolean;
  /** From 0 (none) to 1 (all). */
  readonly ratio: number;
}

/** What the standard `OTEL_*` variables say. */
export interface OtelConfig {
  readonly serviceName: string;
  readonly resourceAttributes: Readonly<Record<string, string>>;
  /** Where spans go by OTLP over HTTP; undefined: nowhere, and none are made. */
  readonly traces: OtlpTarget | undefined;
  /** Where metrics go by OTLP over HTTP, beside `/metrics`; undefined: nowhere. */
  readonly metrics: OtlpTarget | undefined;
  readonly sampling: Sampling;
  /** Milliseconds between two exports of metrics. */
  readonly metricIntervalMs: number;
}

/** One OTLP endpoint. */
export interface OtlpTarget {
  /** The whole URL, `…/v1/traces` or `…/v1/metrics`. */
  readonly url: string;
  readonly headers: Readonly<Record<string, Secret>>;
  readonly timeoutMs: number;
}

/** The configuration, complete and checked. */
export interface Config {
  /** The configuration file that was read; undefined: there is none. */
  readonly file: string | undefined;
  readonly host: string;
  readonly port: number;
  /** Certificates of the port; undefined: cleartext. */
  readonly tls: TlsConfig | undefined;
  readonly dataDir: string;
  /** `redis:` or `postgres:` URL of the scale-out engine; undefined: embedded. */
  readonly engineUrl: Secret | undefined;
  /** Certificates for connections to the engine; undefined: none of our own. */
  readonly engineTls: PeerTlsFiles | undefined;
  /** Certificates for connections to downstreams. */
  readonly downstreamTls: DownstreamTlsConfig;
  /** Accept a Redis that may lose acknowledged work. */
  readonly engineMayLoseWork: boolean;
  readonly plugins: readonly PluginConfig[];
  /** By name. */
  readonly adapters: Readonly<Record<string, ConfiguredAdapter>>;
  readonly callers: readonly KeyedCaller[];
  readonly oauth: readonly OauthConfig[];
  readonly rpc: { readonly allowUnauthenticated: boolean; readonly corsOrigins: readonly string[] };
  readonly ledger: { readonly windowHours: number; readonly uncertainHours: number; readonly readEntries: number };
  /** How long dead jobs are kept. */
  readonly jobs: { readonly deadHours: number };
  /** What stored values are encrypted with: the first key encrypts, all decrypt. Without a key they are plain. */
  readonly encryption: {
    readonly keys: readonly EncryptionKey[];
    /** Ids of keys that are lost for good. */
    readonly lostKeys: readonly string[];
  };
  readonly delivery: { readonly retryForMs: number };
  /** Milliseconds for which new work is taken on after readiness is off. */
  readonly shutdown: { readonly delayMs: number };
  readonly limits: Limits;
  /** By the name that a tool's settings give. */
  readonly credentials: Readonly<Record<string, CredentialConfig>>;
  /** Requests under way at once, by origin of a downstream. */
  readonly inFlight: Readonly<Record<string, number>>;
  readonly prices: Prices;
  /** Hosts or CIDRs that tools may reach although private. */
  readonly privateAddresses: readonly string[];
  readonly allowedHosts: readonly string[];
  /** File of the audit log, or `-` for stderr. */
  readonly auditFile: string;
  readonly logLevel: string;
  readonly otel: OtelConfig;
  /** Whether the sandbox may play what is not configured. `auto`: only while no key of any kind is. */
  readonly sandbox: "auto" | boolean;
  /** Variables that the threads and processes of isolated tools get. */
  readonly isolatedEnv: Env;
  /** Reads the variables that plugins declare. */
  readonly environment: Environment;
  /** What works but deserves a look, one sentence each: log them once at the start. */
  readonly warnings: readonly string[];
}
