import type { FastifyReply, FastifyRequest } from "fastify";
import type { Job } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { CallContext, Progress, ToolCall, ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../auth/caller.ts";
import type { AdapterClients, Measure, RawRequest, RequestTrace } from "./host.ts";
import type { StreamEvent } from "./sse.ts";

/** One path of an adapter. The kind determines how requests are handled. */
export type Route = AnswerRoute | StreamRoute | AcceptRoute | PollRoute | RawRoute;

/** Properties of all routes. */
export interface RouteBase {
  readonly method: "GET" | "POST";
  /** Path in Fastify's syntax: `/calls/:id`. */
  readonly path: string;
  /** Returns a reason to refuse the head of a request, before it is authenticated. */
  admit?(request: RawRequest): RequestFailure | undefined;
  /** Defines the error format: returns the reply to a request that fails. */
  failure(failure: RequestFailure): Reply;
  /** CORS: origins of web pages that may use the route, and the headers that they may send. */
  readonly cors?: { readonly origins: readonly string[]; readonly headers: readonly string[] };
  /** Measures a request that was refused, or that failed with a 5xx. */
  measureFailure?(failure: RequestFailure, measure: Measure): void;
}

/** One call, answered in the body of the same request. */
export interface AnswerRoute extends RouteBase {
  readonly kind: "answer";
  /** Time limit for the answer, in milliseconds. */
  readonly answerWithinMs: number;
  /** Converts the payload to a call. Throws a PayloadError. */
  call(payload: unknown): ToolCall;
  /** Returns the JSON text of the 200. */
  answer(call: ToolCall, result: ToolResult): string;
  /** Measures an answer when it is sent. */
  measureAnswer?(result: ToolResult, measure: Measure): void;
  /** Measures the result of a call that outlived its answer. */
  measureLateResult?(result: ToolResult, measure: Measure): void;
  /** Limit of unanswered calls, and the message of the 503 beyond it. Undefined: no limit. */
  readonly pending?: { readonly limit: number; readonly message: string };
}

/** Calls whose progress and results are streamed as server-sent events. */
export interface StreamRoute extends RouteBase {
  readonly kind: "stream";
  /** Time limit for the last event, in milliseconds. */
  readonly answerWithinMs: number;
  /** Converts the payload to a call. Throws a PayloadError. */
  batch(payload: unknown): Batch;
  /** Returns the event for a call that has ended, or for a tool that reports progress. */
  progress(step: Step): StreamEvent;
  /** Returns the last event. The results are in the order of the calls. */
  results(batch: Batch, results: readonly ToolResult[]): StreamEvent;
}

/** Calls that are acknowledged once they are stored. Their results are delivered later. */
export interface AcceptRoute extends RouteBase {
  readonly kind: "accept";
  /** Name of the delivery that sends the results. */
  readonly source: string;
  /** Reason why no batch can be accepted, for the 503. */
  readonly unavailable?: string | undefined;
  /** Converts the payload to a call. Throws a PayloadError. */
  batch(payload: unknown): Batch;
  /** Returns the reply to a stored batch. */
  accepted(job: Job): Reply;
}

/** Queries the answer of an earlier call. */
export interface PollRoute extends RouteBase {
  readonly kind: "poll";
  /** Returns the call's id from the parameters of the path; undefined if it is not a valid id. */
  callId(parameters: Readonly<Record<string, string>>): string | undefined;
  answered(callId: string, result: ToolResult): Reply;
  running(callId: string): Reply;
  unknown(callId: string | undefined): Reply;
}

/** A request that the adapter answers itself, with the same clients, for protocols that fit none of the other kinds. */
export interface RawRoute extends RouteBase {
  readonly kind: "raw";
  /** Whether the body itself is a call's arguments, whose problems belong to the call. */
  readonly bodyIsArguments?: boolean;
  /** Returns the W3C `traceparent` in a body. Called if the request has no such header. */
  traceparent?(body: unknown): string | undefined;
  serve(exchange: RawExchange): Promise<FastifyReply>;
}

/** A request of a raw route after authentication and body parsing. */
export interface RawExchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly caller: Caller;
  readonly clients: AdapterClients;
  readonly trace: RequestTrace | undefined;
  /** Fires when the client has disconnected. */
  readonly signal: AbortSignal;
}

/** Several calls and their context. */
export interface Batch {
  readonly calls: ToolCall[];
  readonly context: CallContext;
}

/** A step of a batch: a call has ended, or a tool reports progress. */
export interface Step {
  /** Number of calls that have ended. */
  readonly ended: number;
  /** Number of all calls. */
  readonly total: number;
  readonly event:
    | { readonly case: "result"; readonly value: ToolResult }
    | { readonly case: "progress"; readonly value: Progress };
}

/** A reply to the platform. `body` is JSON text. */
export interface Reply {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The reason why a request is answered with an error. */
export interface RequestFailure {
  readonly status: number;
  /**
   * Text for the platform's engineer. Empty for a 500 and for a 401 without a valid key, for which the adapter has its
   * own texts.
   */
  readonly message: string;
  /** For a 401: whether the request contained a credential. */
  readonly credentials?: boolean;
  /** For a 503 or a 429: number of seconds after which to try again. */
  readonly retryAfter?: number;
  /** The parsed body, if there is one. */
  readonly payload?: unknown;
}

/** Thrown for a payload that the route does not accept. It is answered with 400 and this message. */
export class PayloadError extends Error {
  override readonly name: string = "PayloadError";
}
