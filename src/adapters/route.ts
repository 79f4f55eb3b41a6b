import type { FastifyReply, FastifyRequest } from "fastify";
import type { Job } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { CallContext, Progress, ToolCall, ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../auth/caller.ts";
import type { AdapterClients, Measure, RawRequest, RequestTrace } from "./host.ts";
import type { StreamEvent } from "./sse.ts";

/** One address of an adapter. Its kind says what is done with a request. */
export type Route = AnswerRoute | StreamRoute | AcceptRoute | PollRoute | RawRoute;

/** What every route declares. */
export interface RouteBase {
  readonly method: "GET" | "POST";
  /** Path in Fastify's syntax: `/calls/:id`. */
  readonly path: string;
  /** Returns why the head of a request is refused, before it is authenticated. */
  admit?(request: RawRequest): RequestFailure | undefined;
  /** The whole error shape: the reply to a request that gets no answer of its own. */
  failure(failure: RequestFailure): Reply;
  /** Origins whose browsers may use the route, and the headers that they may send. */
  readonly cors?: { readonly origins: readonly string[]; readonly headers: readonly string[] };
  /** Measures a request that was refused or failed with a 5xx. */
  measureFailure?(failure: RequestFailure, measure: Measure): void;
}

/** One call, answered in the body of the same request. */
export interface AnswerRoute extends RouteBase {
  readonly kind: "answer";
  /** Longest time until the answer, in milliseconds. */
  readonly answerWithinMs: number;
  /** Reads the payload. Throws a PayloadError. */
  call(payload: unknown): ToolCall;
  /** Returns the JSON text of the 200. */
  answer(call: ToolCall, result: ToolResult): string;
  /** Measures an answer as it is given. */
  measureAnswer?(result: ToolResult, measure: Measure): void;
  /** Measures the result of a call that outlived its answer. */
  measureLateResult?(result: ToolResult, measure: Measure): void;
  /** Limit of unanswered calls, and the message of the 503 for a call beyond it. No limit where it is left out. */
  readonly pending?: { readonly limit: number; readonly message: string };
}

/** Calls whose progress and results are streamed as server-sent events. */
export interface StreamRoute extends RouteBase {
  readonly kind: "stream";
  /** Longest time until the last event, in milliseconds. */
  readonly answerWithinMs: number;
  /** Reads the payload. Throws a PayloadError. */
  batch(payload: unknown): Batch;
  /** Returns the event for a call that has ended or a tool that reports progress. */
  progress(step: Step): StreamEvent;
  /** Returns the last event. The results are in the order of the calls. */
  results(batch: Batch, results: readonly ToolResult[]): StreamEvent;
}

/** Calls that are acknowledged when they are stored. Their results are delivered later. */
export interface AcceptRoute extends RouteBase {
  readonly kind: "accept";
  /** Name of the delivery that sends the results. */
  readonly source: string;
  /** Reason for which no batch can be accepted, as its 503 says it. */
  readonly unavailable?: string | undefined;
  /** Reads the payload. Throws a PayloadError. */
  batch(payload: unknown): Batch;
  /** Returns the reply to a stored batch. */
  accepted(job: Job): Reply;
}

/** Asks for the answer of an earlier call. */
export interface PollRoute extends RouteBase {
  readonly kind: "poll";
  /** Reads the call's id from the parameters of the path. Undefined where it is not an id. */
  callId(parameters: Readonly<Record<string, string>>): string | undefined;
  answered(callId: string, result: ToolResult): Reply;
  running(callId: string): Reply;
  unknown(callId: string | undefined): Reply;
}

/** A request that the adapter answers by itself, with the same clients: for protocols that fit none of the other kinds. */
export interface RawRoute extends RouteBase {
  readonly kind: "raw";
  /** Whether the body itself is a call's arguments, whose problems belong to the call. */
  readonly bodyIsArguments?: boolean;
  /** Returns the W3C `traceparent` that a body holds. Asked where the request has no such header. */
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
  /** Fires when the client has gone away. */
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

/** What is sent to the platform. `body` is JSON text. */
export interface Reply {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Why a request gets no answer of its own. */
export interface RequestFailure {
  readonly status: number;
  /** For the platform's engineer. Empty for a 500 and for a 401 without a valid key, whose texts are the adapter's. */
  readonly message: string;
  /** For a 401: whether the request carried a credential. */
  readonly credentials?: boolean;
  /** Seconds after which to try again, for a 503 or a 429. */
  readonly retryAfter?: number;
  /** The parsed body, where there is one. */
  readonly payload?: unknown;
}

/** A payload that the route does not take: 400 with this message. */
export class PayloadError extends Error {
  override readonly name: string = "PayloadError";
}
