import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { Client, ContextValues } from "@connectrpc/connect";
import type { Jobs } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import type { Caller } from "../auth/caller.ts";
import type { SignedRequest } from "../auth/signed-request.ts";

/** Connect clients that act as one caller. */
export interface AdapterClients {
  readonly executor: Client<typeof ToolExecutor>;
  readonly jobs: Client<typeof Jobs>;
  /**
   * The same clients for requests that the adapter makes on its own account. They do not count against the caller's
   * rate.
   */
  readonly unmetered?: Omit<AdapterClients, "unmetered">;
}

/** The sender of a request, with the clients that act as that caller. */
export interface Requester {
  readonly caller: Caller;
  readonly clients: AdapterClients;
}

/** A request that was refused because of its key or its caller's scopes. */
export interface AccessRefusal {
  readonly code: "unauthenticated" | "permission_denied";
  /** Method and path of the route as declared. */
  readonly target: string;
  readonly caller: Caller | undefined;
  /** The reason, without secrets. */
  readonly reason: string;
}

/**
 * Everything that an adapter can access of the service. It cannot skip a stage of the pipeline, because it has no
 * access to any.
 */
export interface AdapterHost {
  /**
   * Authenticates a request by its headers, before its body is read. Returns undefined if there is no valid credential,
   * and a SignedRequest if the body is needed as well.
   */
  authenticate(request: RawRequest): Requester | SignedRequest<Requester> | undefined | Promise<Requester | undefined>;
  /** The sender of every request if no credential is configured, so that nothing has to be authenticated. */
  readonly open?: Requester;
  /** Records a request that was refused because of its key or scope. */
  recordRefusal(refusal: AccessRefusal): void;
  /** Returns the clients that act as a caller, the same ones each time. */
  clientsFor(caller: Caller): AdapterClients;
  readonly measure: Measure;
  /** Whether spans are recorded. */
  readonly tracing: boolean;
  /** Starts the span of a request. Returns undefined if there is no trace to record or to continue. */
  startTrace(start: TraceStart): RequestTrace | undefined;
  readonly log: AdapterLog;
  /** Version of Jackfield. */
  readonly version: string;
}

/** A Node request, over HTTP/1.1 or HTTP/2. */
export type RawRequest = IncomingMessage | Http2ServerRequest;

/**
 * Records a value of one of the adapter's instruments: adds to a counter, counts in a histogram, or sets a gauge.
 * Throws if no instrument with this name is declared.
 */
export type Measure = (name: string, labels: Readonly<Record<string, string>>, value: number) => void;

/** A metric that an adapter declares. */
export interface Instrument {
  /** In OpenTelemetry's form: `cognigy.tool.invocations`. */
  readonly name: string;
  readonly kind: "counter" | "histogram" | "gauge";
  readonly description: string;
  /** UCUM unit, such as `s` for seconds. */
  readonly unit?: string;
  /** Names of the labels, at most two. */
  readonly labels: readonly string[];
}

/** How the span of a request starts. */
export interface TraceStart {
  readonly method: string;
  /** The route's path pattern, without values. */
  readonly path: string;
  /** W3C trace context of the request. */
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  /** Whether the calls of the request share a trace id even if nothing is recorded. */
  readonly shared: boolean;
}

/** The span of one request. */
export interface RequestTrace {
  /** Pass them to each RPC of the request. */
  readonly values: ContextValues;
  /** Adds attributes to the span. */
  set(attributes: Readonly<Record<string, string>>): void;
  /** Ends the span with the HTTP status of the answer. */
  end(status: number): void;
}

/** The log of the service, with the adapter's name on each line. */
export interface AdapterLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
