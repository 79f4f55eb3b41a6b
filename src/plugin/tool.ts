import type { XStatic } from "typebox/schema";

/**
 * The side effect of a tool: `read` changes nothing, `idempotent` is a write that the downstream deduplicates by its key,
 * `write` is any other change.
 */
export type Effect = "read" | "idempotent" | "write";

/** How string arguments are sanitised before validation. The default is `text`. */
export type SanitizeMode = "strict" | "text" | "off";

/**
 * Where the tool's function runs: in the service's process (`none`), or in a worker thread or a child process, which the
 * service can terminate.
 */
export type Isolation = "none" | "worker" | "process";

/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A JSON object. */
export type JsonObject = { [key: string]: Json };

/** JSON Schema as data: draft-07, or 2020-12 when `$schema` says so. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** A schema that converts itself to JSON Schema (the Standard JSON Schema interface, for example Zod 4.2 and later). */
export interface StandardJsonSchema<Value = unknown> {
  readonly "~standard": {
    readonly types?: { readonly input: unknown; readonly output: Value } | undefined;
    readonly jsonSchema: {
      readonly input: (options: { target: string }) => Record<string, unknown>;
      readonly output: (options: { target: string }) => Record<string, unknown>;
    };
  };
}

/** A TypeBox schema. It is JSON Schema too, but its type has no index signature. */
export interface TypeBoxSchema {
  readonly "~kind": string;
}

/** Any supported schema: JSON Schema, TypeBox or Standard JSON Schema. */
export type Schema = JsonSchema | TypeBoxSchema | StandardJsonSchema;

/** The TypeScript type that a schema describes. */
export type Infer<S> =
  S extends StandardJsonSchema<infer Value> ? Value : S extends JsonSchema | TypeBoxSchema ? XStatic<S> : unknown;

/** Concurrency limits of one tool. */
export interface ToolLimits {
  /** Maximum number of concurrent executions. */
  concurrency?: number;
  /** Maximum number of executions that wait for a slot. Further calls end with OVERLOADED. */
  queue?: number;
}

/**
 * How failed requests to the downstream are retried. The defaults are 3 retries, with a backoff that doubles from 500 ms
 * to 2 s.
 */
export interface RetryPolicy {
  /** Number of retries after the first attempt. */
  retries?: number;
  /** First backoff in milliseconds. */
  baseMs?: number;
  /** Maximum backoff in milliseconds. */
  maxMs?: number;
}

/** Options of one request to a downstream. */
export interface HttpRequest {
  method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Query parameters. Undefined ones are omitted. */
  query?: Record<string, string | number | boolean | undefined>;
  headers?: Record<string, string>;
  /** Request body, sent as JSON. */
  json?: unknown;
  /** Request body, sent unchanged. */
  body?: string | Uint8Array;
  /**
   * Sent as the `Idempotency-Key` header. A POST or PATCH is retried only when this key is set and the tool's effect is
   * `idempotent`.
   */
  idempotencyKey?: string;
  /**
   * Whether a status other than 2xx throws an HttpError; true by default. Set it to `false` to distinguish, say, a 404
   * from a 409.
   */
  throwOnError?: boolean;
}

/**
 * A downstream's response, with its body read completely. Its status is always 2xx unless the request sets `throwOnError:
 * false`.
 */
export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  text(): string;
  /**
   * Parses the body as JSON. Throws an error that is safe to show to the model when the body is not JSON. A number that a
   * double cannot represent exactly is a Number object: it computes as the nearest double and keeps the original digits
   * as its text.
   */
  json<T = unknown>(): T;
}

/**
 * HTTP client of one execution. It applies retries, timeouts, tracing, limits and the address guard. Every method throws
 * an HttpError on failure, whose message is safe to show to the model: `External API returned STATUS: BODY`. A request
 * that would start after the execution deadline is rejected.
 */
export interface ToolHttp {
  (url: string | URL, request?: HttpRequest): Promise<HttpResponse>;
}

/** Writes log lines that carry the tool, call, conversation and trace. */
export interface ToolLog {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/** The second argument of `execute`: everything that an execution gets besides its arguments. */
export interface ExecutionContext<Config = unknown, State = unknown> {
  /** HTTP client for the downstream. */
  readonly http: ToolHttp;
  /** Fires at the execution deadline, and when the last waiting caller of a `read` has gone. */
  readonly signal: AbortSignal;
  /** Id of the call. */
  readonly callId: string;
  /** Key for downstreams that deduplicate requests. Every run of the same call has the same key. */
  readonly idempotencyKey: string;
  /** The conversation, if any. */
  readonly conversationId: string | undefined;
  /** The session, if any. */
  readonly sessionId: string | undefined;
  /** The platform or caller that made the call. */
  readonly source: string;
  /** Reports progress to the caller, if it listens. `fraction` is from 0 to 1. */
  progress(report: { message?: string; fraction?: number }): void;
  readonly log: ToolLog;
  /** The tool's configuration, validated against `configSchema`. */
  readonly config: Config;
  /** The value that `open` returned. */
  readonly state: State;
}

/** The answer of `reconcile`: the result of a write that took effect, or `"not-done"`, or `"unknown"`. */
export type Reconciled = { result: unknown } | "not-done" | "unknown";

/** A call with an unknown outcome. */
export interface UnknownCall<Args = unknown> {
  readonly args: Args;
  readonly callId: string;
  /** The idempotency key of the run. */
  readonly idempotencyKey: string;
  /** When the run started. Its requests may still be in transit to the downstream. */
  readonly startedAt: Date;
}

/** Hints for MCP hosts. Each overrides the default that follows from the tool's effect. */
export interface ToolAnnotations {
  /** Display name. */
  title?: string;
  /** Whether a call may destroy or overwrite data. */
  destructive?: boolean;
  /** Whether a repeated call with the same arguments, under another id, has no further effect. */
  idempotent?: boolean;
  /** Whether the tool interacts with systems beyond its own. */
  openWorld?: boolean;
}

/** The definition of a tool: data and one function. Pass it to `defineTool`. */
export interface ToolDefinition<Input extends Schema = Schema, Config extends Schema = Schema, State = unknown> {
  /** Name by which the model calls the tool: up to 64 letters, digits, `_` and `-`. */
  name: string;
  /** Description that the model reads. */
  description: string;
  /** Schema of the arguments. */
  inputSchema: Input;
  /** Schema of the output. An output that violates it ends the call with INVALID_OUTPUT. */
  outputSchema?: Schema;
  /** Schema of the configuration. Mark secrets with `secret: true`. */
  configSchema?: Config;
  /** Side effect of the tool; `write` by default. */
  effect?: Effect;
  /** Hints for MCP hosts. */
  annotations?: ToolAnnotations;
  /** Execution deadline in milliseconds, 5000 by default. */
  timeoutMs?: number;
  limits?: ToolLimits;
  retry?: RetryPolicy;
  sanitize?: SanitizeMode;
  isolation?: Isolation;
  /** Runs once before the first call. Use it to open connections and caches; its return value is `context.state`. */
  open?(config: Infer<Config>): State | Promise<State>;
  /** Throws when the tool cannot work at present. Called at startup and by `/readyz`. */
  ready?(state: State): void | Promise<void>;
  /** Runs once at shutdown. */
  close?(state: State): void | Promise<void>;
  /** Does the work. Returns any JSON value; the model reads a string verbatim. */
  execute(args: Infer<Input>, context: ExecutionContext<Infer<Config>, State>): unknown;
  /**
   * Finds out whether a write with an unknown outcome took effect: its process died, its deadline passed, or the
   * downstream did not answer. It may take another `timeoutMs`. Return `"not-done"` only if the write has not happened
   * and can no longer happen.
   */
  reconcile?(
    call: UnknownCall<Infer<Input>>,
    context: ExecutionContext<Infer<Config>, State>,
  ): Reconciled | Promise<Reconciled>;
}

/** A tool that `defineTool` has stamped with the version of this contract. */
export interface Tool<
  Input extends Schema = Schema,
  Config extends Schema = Schema,
  State = unknown,
> extends ToolDefinition<Input, Config, State> {
  readonly apiVersion: 1;
}
