import type { XStatic } from "typebox/schema";

/** What running a tool does to the world: nothing, a write that the downstream deduplicates by its key, or a write. */
export type Effect = "read" | "idempotent" | "write";

/** How string arguments are cleaned before validation. `text` is the default. */
export type SanitizeMode = "strict" | "text" | "off";

/** Where the tool's function runs: in the service's process, or in a worker thread or a process that can be stopped. */
export type Isolation = "none" | "worker" | "process";

/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A JSON object. */
export type JsonObject = { [key: string]: Json };

/** JSON Schema as data: draft-07, or 2020-12 by `$schema`. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** A schema that can turn itself into JSON Schema (Standard JSON Schema, for example Zod 4.2 and later). */
export interface StandardJsonSchema<Value = unknown> {
  readonly "~standard": {
    readonly types?: { readonly input: unknown; readonly output: Value } | undefined;
    readonly jsonSchema: {
      readonly input: (options: { target: string }) => Record<string, unknown>;
      readonly output: (options: { target: string }) => Record<string, unknown>;
    };
  };
}

/** A schema made by TypeBox: JSON Schema as well, but of a type that has no index signature. */
export interface TypeBoxSchema {
  readonly "~kind": string;
}

/** Anything that describes a value's shape: JSON Schema, TypeBox or Standard JSON Schema. */
export type Schema = JsonSchema | TypeBoxSchema | StandardJsonSchema;

/** The TypeScript type that a schema describes. */
export type Infer<S> =
  S extends StandardJsonSchema<infer Value> ? Value : S extends JsonSchema | TypeBoxSchema ? XStatic<S> : unknown;

/** Limits of one tool. */
export interface ToolLimits {
  /** Executions side by side. */
  concurrency?: number;
  /** Executions that may wait for a place; beyond, the call is OVERLOADED. */
  queue?: number;
}

/** How requests to the downstream are repeated. The defaults are 3 retries, 500 ms doubling to 2 s. */
export interface RetryPolicy {
  /** Retries after the first try. */
  retries?: number;
  /** First backoff in milliseconds. */
  baseMs?: number;
  /** Longest backoff in milliseconds. */
  maxMs?: number;
}

/** One request to a downstream. */
export interface HttpRequest {
  method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Query parameters; undefined ones are left out. */
  query?: Record<string, string | number | boolean | undefined>;
  headers?: Record<string, string>;
  /** Sent as JSON body. */
  json?: unknown;
  /** Sent as it is. */
  body?: string | Uint8Array;
  /**
   * Sent as `Idempotency-Key`. A POST or PATCH is repeated after errors only when it is given and the tool is `idempotent`.
   */
  idempotencyKey?: string;
  /** `false`: an answer of any status is returned, so that the tool can tell a 404 from a 409. Else only 2xx is. */
  throwOnError?: boolean;
}

/** The answer of a downstream, read whole. Always 2xx unless the request says `throwOnError: false`. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  text(): string;
  /**
   * The parsed body. Throws an error that the model may read if it is not JSON. A number that a double cannot hold is a
   * Number object: it computes as the nearest double, and its text is the number as the downstream wrote it.
   */
  json<T = unknown>(): T;
}

/**
 * Outgoing HTTP for one execution. It retries, times out, traces, limits and guards, so that the author need not.
 * Throws an HttpError, whose message the model may read: `External API returned STATUS: BODY`. A request that would leave
 * after the execution deadline is refused.
 */
export interface ToolHttp {
  (url: string | URL, request?: HttpRequest): Promise<HttpResponse>;
}

/** Writes log lines that carry tool, call, conversation and trace. */
export interface ToolLog {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/** What an execution gets beside its arguments. */
export interface ExecutionContext<Config = unknown, State = unknown> {
  /** Outgoing HTTP. */
  readonly http: ToolHttp;
  /** Fires at the execution deadline, and when nobody waits for a `read` any more. */
  readonly signal: AbortSignal;
  /** Id of the call. */
  readonly callId: string;
  /** The same for every run of the same call, for downstreams that deduplicate. */
  readonly idempotencyKey: string;
  /** The conversation, where there is one. */
  readonly conversationId: string | undefined;
  /** The session, where there is one. */
  readonly sessionId: string | undefined;
  /** The platform or caller that asked. */
  readonly source: string;
  /** Reports to whoever listens; `fraction` is from 0 to 1. */
  progress(report: { message?: string; fraction?: number }): void;
  readonly log: ToolLog;
  /** The tool's configuration, checked against `configSchema`. */
  readonly config: Config;
  /** What `open` returned. */
  readonly state: State;
}

/** What `reconcile` found out about a write whose outcome is not known. */
export type Reconciled = { result: unknown } | "not-done" | "unknown";

/** A call whose outcome is not known. */
export interface UnknownCall<Args = unknown> {
  readonly args: Args;
  readonly callId: string;
  /** The key that the run had. */
  readonly idempotencyKey: string;
  /** When the run began. What it sent may still be under way in the downstream. */
  readonly startedAt: Date;
}

/** Hints for MCP hosts. Each replaces what follows from the tool's effect. */
export interface ToolAnnotations {
  /** Name for people. */
  title?: string;
  /** Whether a call may destroy or overwrite something. */
  destructive?: boolean;
  /** Whether another call with the same arguments, under another id, has no further effect. */
  idempotent?: boolean;
  /** Whether the tool deals with the world outside its own system. */
  openWorld?: boolean;
}

/** A tool as its author writes it: data and one function. */
export interface ToolDefinition<Input extends Schema = Schema, Config extends Schema = Schema, State = unknown> {
  /** What the model calls it: letters, digits, `_` and `-`, at most 64. */
  name: string;
  /** What the model reads of it. */
  description: string;
  /** Shape of the arguments. */
  inputSchema: Input;
  /** Shape of the output; an answer that does not fit is INVALID_OUTPUT. */
  outputSchema?: Schema;
  /** Shape of the configuration. Mark secrets with `secret: true`. */
  configSchema?: Config;
  /** `write` by default. */
  effect?: Effect;
  /** Hints for MCP hosts. */
  annotations?: ToolAnnotations;
  /** Execution deadline in milliseconds, 5000 by default. */
  timeoutMs?: number;
  limits?: ToolLimits;
  retry?: RetryPolicy;
  sanitize?: SanitizeMode;
  isolation?: Isolation;
  /** Runs once before the first call, for connections and caches. */
  open?(config: Infer<Config>): State | Promise<State>;
  /** Throws where the tool cannot work at present; asked at the start and by `/readyz`. */
  ready?(state: State): void | Promise<void>;
  /** Runs once at the end. */
  close?(state: State): void | Promise<void>;
  /** Does the work. The answer is any JSON value; a string is what the model reads as it is. */
  execute(args: Infer<Input>, context: ExecutionContext<Infer<Config>, State>): unknown;
  /**
   * Finds out whether a write took effect whose outcome is not known: its process died, its deadline passed, or its request
   * was not answered. Has `timeoutMs` again. `"not-done"` means that it has not happened and cannot happen any more.
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
