import type { Context } from "@opentelemetry/api";
import type { SentRequests } from "./sent-requests.ts";
import type { Effect, HttpRequest, HttpResponse, RetryPolicy, ToolHttp, ToolLog } from "../plugin/tool.ts";

/** Authenticates a tool to its downstream. The tool itself never sees it. */
export interface Credential {
  /** Returns the headers to send. Throws a TokenError if no token is available. */
  headers(): Promise<Readonly<Record<string, string>>>;
  /** Texts that no answer, log line or error may show. */
  readonly secrets: readonly string[];
  /** Returns new headers after a 401 rejected these; undefined if there are none. */
  renew(refused: Readonly<Record<string, string>>): Promise<Readonly<Record<string, string>> | undefined>;
}

/** The execution on whose behalf requests are sent. */
export interface HttpScope {
  readonly effect: Effect;
  readonly retry: RetryPolicy | undefined;
  readonly signal: AbortSignal;
  /** Execution deadline, a `performance.now()` value: no request is sent after it. */
  readonly deadline: number;
  /** The `performance.now()` value after which no request that changes anything is sent. */
  readonly sendUntil?: number;
  /** Records sent requests. */
  readonly sent?: SentRequests;
  /** Origins from the tool's own configuration, which may be private. */
  readonly configuredOrigins: ReadonlySet<string>;
  readonly trace: Context | undefined;
  /** Receives a line for each retried request. */
  readonly log?: () => ToolLog;
  /** Ids of the execution, for the spans of its requests. */
  readonly attributes?: SpanAttributes;
  /** Authenticates the tool to origins from its own configuration. */
  readonly credential?: Credential | undefined;
}

/** The context of one request sent by `send`. */
export interface SendScope {
  readonly signal: AbortSignal;
  /** Origins configured by the operator, which may be private. */
  readonly configuredOrigins: ReadonlySet<string>;
  readonly trace?: Context | undefined;
  /** Ids of the work that the request belongs to, for its span. */
  readonly attributes?: SpanAttributes;
}

/** Returns the attributes of a span. Called only if spans are recorded. */
export type SpanAttributes = () => Readonly<Record<string, string>>;

/** A response of any status, with its body read completely. */
export interface Answer extends HttpResponse {
  /** At most 200 characters of the body, redacted: safe for messages and logs. */
  excerpt(): string;
}

/**
 * Outgoing HTTP of the whole process: one connection pool, and per origin one circuit breaker and one limit of
 * concurrent requests.
 */
export interface Outbound {
  /** Returns the `http` of one execution. */
  httpFor(scope: HttpScope): ToolHttp;
  /**
   * Sends a request once and resolves with the response, whatever its status, redirects included. For callers with
   * their own retry rules. Guarded, limited and traced like `httpFor`. Throws a DownstreamError if there is no answer,
   * or the reason of the signal.
   */
  send(url: string | URL, request: HttpRequest, scope: SendScope): Promise<Answer>;
  close(): Promise<void>;
}
