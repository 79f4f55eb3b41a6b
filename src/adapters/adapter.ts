import type { Client } from "@connectrpc/connect";
import type { Job, Jobs } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { CallContext, Progress, ToolCall, ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { KeyCheck } from "./api-key.ts";
import type { StreamEvent } from "./sse.ts";

/** All that an adapter can reach of the service: it cannot skip a step of the pipeline, because it cannot name one. */
export interface AdapterClients {
  readonly executor: Client<typeof ToolExecutor>;
  readonly jobs: Client<typeof Jobs>;
}

/** What an adapter is given. */
export interface AdapterHost {
  /** Clients that speak as the adapter, for the named key where it has several. Made once per name and kept. */
  clientsFor(keyName?: string): AdapterClients;
  readonly telemetry: Telemetry;
  readonly version: string;
}

/**
 * One outside protocol translated to the Connect services: data, and pure functions that turn payloads into calls and
 * results into payloads. What every adapter would repeat is done by `mountAdapter`.
 */
export interface Adapter {
  /** The platform, as it appears in logs and metrics. */
  readonly name: string;
  readonly keys: KeyCheck;
  readonly routes: readonly Route[];
  /** How many calls may be under way, and what a request beyond that reads. Without it there is no such limit. */
  readonly pending?: { readonly limit: number; readonly refusal: string };
}

/** One address of an adapter, by what it does with a request. */
export type Route = AnswerRoute | StreamRoute | AcceptRoute | PollRoute;

/** What each kind of route declares. */
export interface RouteBase {
  readonly method: "GET" | "POST";
  /** As Fastify reads it. */
  readonly path: string;
  /** How long the platform waits for an answer, in milliseconds. */
  readonly answerWithinMs: number;
  /** The whole error shape: how every fault looks on this route. */
  fault(fault: Fault): Reply;
  /** Browsers of these origins may use the route. */
  readonly cors?: { readonly origins: readonly string[]; readonly headers: readonly string[] };
}

/** One call, answered in the body of the same request. */
export interface AnswerRoute extends RouteBase {
  readonly kind: "answer";
  /** Reads the payload. Throws a PayloadError. */
  call(payload: unknown): ToolCall;
  /** JSON text of the 200. */
  answer(call: ToolCall, result: ToolResult): string;
  /** Measures an answer. */
  answered?(result: ToolResult, telemetry: Telemetry): void;
}

/** Calls whose progress and results are streamed as server-sent events. */
export interface StreamRoute extends RouteBase {
  readonly kind: "stream";
  /** Reads the payload. Throws a PayloadError. */
  batch(payload: unknown): Batch;
  /** What the platform reads when a call has ended, or its tool reports. */
  progress(step: Step): StreamEvent;
  /** What the platform reads at the end; the results stand in the order of the calls. */
  results(batch: Batch, results: readonly ToolResult[]): StreamEvent;
}

/** Calls that are acknowledged once they are stored; their results are delivered later. */
export interface AcceptRoute extends RouteBase {
  readonly kind: "accept";
  /** The platform that the results go to. */
  readonly source: string;
  /** Why nothing can be accepted, where results could not be delivered. */
  readonly refusal?: string | undefined;
  /** Reads the payload. Throws a PayloadError. */
  batch(payload: unknown): Batch;
  accepted(job: Job): Reply;
}

/** Asks for the answer of a call made before. */
export interface PollRoute extends RouteBase {
  readonly kind: "poll";
  /** Reads the call's id from the parameters of the path; undefined where there is none. */
  callId(parameters: Readonly<Record<string, string>>): string | undefined;
  answered(callId: string, result: ToolResult): Reply;
  running(callId: string): Reply;
  unknown(callId: string | undefined): Reply;
}

/** Several calls and where they belong. */
export interface Batch {
  readonly calls: ToolCall[];
  readonly context: CallContext;
}

/** A step of a batch: a call has ended, or a tool reports. */
export interface Step {
  /** How many calls have ended. */
  readonly ended: number;
  /** How many there are. */
  readonly total: number;
  readonly event:
    | { readonly case: "result"; readonly value: ToolResult }
    | { readonly case: "progress"; readonly value: Progress };
}

/** What goes back to the platform. `body` is JSON text. */
export interface Reply {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Why a request gets no answer of its own. */
export interface Fault {
  readonly status: number;
  /** Fit for the platform's engineer. Empty for 401 and 500, whose words are the adapter's. */
  readonly message: string;
  /** Seconds after which to try again, for 503. */
  readonly retryAfter?: number;
  /** The parsed body, where there is one. */
  readonly payload?: unknown;
}

/** The payload is not what the route takes: 400 with these words. */
export class PayloadError extends Error {
  override readonly name: string = "PayloadError";
}
