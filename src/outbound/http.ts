import type { Context } from "@opentelemetry/api";
import type { SentRequests } from "./sent-requests.ts";
import type { Effect, HttpRequest, HttpResponse, RetryPolicy, ToolHttp, ToolLog } from "../plugin/tool.ts";

/** What proves a tool to its downstream. The tool itself never sees it. */
export interface Credential {
  /** The headers to send. Throws a TokenError where there is no token. */
  headers(): Promise<Readonly<Record<string, string>>>;
  /** Texts that no answer, log line or error may show. */
  readonly secrets: readonly string[];
  /** Other headers than those that a 401 turned away. Undefined where there are none. */
  renew(refused: Readonly<Record<string, string>>): Promise<Readonly<Record<string, string>> | undefined>;
}

/** What outgoing HTTP needs to know of the execution it serves. */
export interface HttpScope {
  readonly effect: Effect;
  readonly retry: RetryPolicy | undefined;
  readonly signal: AbortSignal;
  /** Execution deadline by `performance.now()`: no request leaves after it. */
  readonly deadline: number;
  /** The `performance.now()` value after which no request that changes something leaves. */
  readonly sendUntil?: number;
  /** Notes what leaves. */
  readonly sent?: SentRequests;
  /** Origins of the tool's own configuration: reachable although private. */
  readonly configuredOrigins: ReadonlySet<string>;
  readonly trace: Context | undefined;
  /** Gets a line for each request that is repeated. */
  readonly log?: () => ToolLog;
  /** Ids of the execution, for the spans of its requests. */
  readonly attributes?: SpanAttributes;
  /** Proves the tool to origins of its own configuration. */
  readonly credential?: Credential | undefined;
}

/** What one request sent by `send` needs to know of whoever sends it. */
export interface SendScope {
  readonly signal: AbortSignal;
  /** Origins that the operator configured: reachable although private. */
  readonly configuredOrigins: ReadonlySet<string>;
  readonly trace?: Context | undefined;
  /** Ids of the work that the request belongs to, for its span. */
  readonly attributes?: SpanAttributes;
}

/** Attributes of a span: asked for where spans are recorded. */
export type SpanAttributes = () => Readonly<Record<string, string>>;

/** An answer of any status, read whole. */
export interface Answer extends HttpResponse {
  /** The body in at most 200 characters with what looks secret taken out: fit for messages and logs. */
  excerpt(): string;
}

/** Outgoing HTTP of the whole process: one pool, one breaker and one limit of requests in flight per origin. */
export interface Outbound {
  /** The `http` of one execution. */
  httpFor(scope: HttpScope): ToolHttp;
  /**
   * Sends a request once and resolves with whatever status comes back, a redirect included: for callers that repeat by
   * rules of their own. Guarded, limited and traced like `httpFor`. Throws a DownstreamError where there is no answer,
   * or the reason of the signal.
   */
  send(url: string | URL, request: HttpRequest, scope: SendScope): Promise<Answer>;
  close(): Promise<void>;
}
