import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  createClient,
  createServiceImplSpec,
  type HandlerContext,
  type ServiceImpl,
} from "@connectrpc/connect";
import { trace } from "@opentelemetry/api";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import { pino } from "pino";
import { type Job, Jobs, JobSchema, JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { Outcome, type ToolCall, type ToolResult, ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { CallState, ExecuteToolsResponseSchema, ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import type { Adapter, AdapterClients, Instrument } from "../../src/adapters/adapter.ts";
import { mountAdapter } from "../../src/adapters/mount.ts";
import type { RouteTimes } from "../../src/adapters/route-context.ts";
import { createAdapterHost } from "../../src/app/adapter-host.ts";
import { localCaller, type RequestAuthenticator } from "../../src/auth/authenticator.ts";
import { createChallenges } from "../../src/auth/challenge.ts";
import { allScopes } from "../../src/config/scope.ts";
import { modelError } from "../../src/errors.ts";
import { rpcByRequest } from "../server/start.ts";
import { createOpenFront } from "../support/front.ts";
import { createInProcessTransport } from "../../src/rpc/in-process/transport.ts";
import { createHttp } from "../../src/server/http.ts";
import { createReadiness } from "../../src/app/readiness.ts";
import type { AccessRefusal } from "../../src/telemetry/access-refusals.ts";
import { runTool, type SimulatedTool } from "./simulated-tools.ts";
import { kTrace } from "../../src/telemetry/trace-key.ts";
import { withTelemetry } from "../telemetry/with-telemetry.ts";

/** A call that reached the services. */
export interface ReceivedCall {
  readonly call: ToolCall;
  readonly context: { conversationId: string; sessionId: string; runId: string; source: string } | undefined;
  readonly answerWithinMs: number | undefined;
  /** Name of the caller to whom the key belongs. */
  readonly caller: string;
  readonly traceId: string | undefined;
}

/** A look-up of a call that reached the services. */
export interface LookUp {
  readonly callId: string;
  readonly traceId: string | undefined;
  readonly signal: AbortSignal;
}

/** Options of an adapter under test. */
export interface AdapterTestOptions {
  readonly adapter: Adapter;
  readonly instruments?: readonly Instrument[];
  readonly tools?: Record<string, SimulatedTool>;
  readonly submit?: (job: Job) => Promise<Job> | Job;
  readonly times?: Partial<RouteTimes>;
  /** Receives every span at its end. No spans are recorded by default. */
  readonly spanExporter?: SpanExporter;
  /** Finds the configured caller of a request. By default all requests are accepted. */
  readonly authenticate?: RequestAuthenticator;
}

/** Serves an adapter on the real port, with telemetry, in front of simple services that record every call. */
export async function startAdapter(options: AdapterTestOptions) {
  const { adapter, instruments = [], tools = {}, submit, times = {}, spanExporter } = options;
  const { authenticate = () => localCaller } = options;
  const seen: ReceivedCall[] = [];
  const lookedUp: LookUp[] = [];
  const refused: AccessRefusal[] = [];
  const refusals = { record: (refusal: AccessRefusal) => void refused.push(refusal), close() {} };
  const results = new Map<string, ToolResult | undefined>();
  const running = new Map<string, Promise<ToolResult>>();
  const known = new Map(Object.entries(tools));
  let lookUpError: Error | undefined;
  const observed = await withTelemetry(
    spanExporter === undefined ? {} : { spanExporter },
    spanExporter === undefined ? {} : { OTEL_TRACES_SAMPLER: "parentbased_always_on" },
  );

  async function answer(
    call: ToolCall,
    signal: AbortSignal,
    withinMs: number | undefined,
    report: (message: string, fraction: number) => void,
  ) {
    results.set(call.id, undefined);
    const work = runTool(known.get(call.name), call, signal, report).then((result) => {
      results.set(call.id, result);
      return result;
    });
    work.catch(() => results.delete(call.id));
    running.set(call.id, work);
    if (withinMs === undefined) return work;
    const late = Promise.withResolvers<ToolResult>();
    const message = modelError("pending-read");
    const pending = create(ToolResultSchema, {
      callId: call.id,
      name: call.name,
      outcome: Outcome.PENDING,
      output: message,
      error: { message },
    });
    const timer = setTimeout(() => late.resolve(pending), withinMs);
    return Promise.race([work, late.promise]).finally(() => clearTimeout(timer));
  }

  function stateOf(callId: string): { state: CallState; result?: ToolResult } {
    if (lookUpError !== undefined) throw lookUpError;
    if (!results.has(callId)) throw new ConnectError("not known", Code.NotFound);
    const result = results.get(callId);
    return result === undefined ? { state: CallState.RUNNING } : { state: CallState.DONE, result };
  }

  function clientsOf(caller: string): AdapterClients {
    const note = (
      call: ToolCall,
      context: ReceivedCall["context"],
      withinMs: number | undefined,
      handler: HandlerContext,
    ) => {
      seen.push({ call, context, answerWithinMs: withinMs, caller, traceId: traceIdOf(handler) });
    };
    const executor: Partial<ServiceImpl<typeof ToolExecutor>> = {
      async executeTool({ call, context, answerWithin }, handler) {
        const within = answerWithin && durationMs(answerWithin);
        note(call!, context, within, handler);
        return { result: await answer(call!, handler.signal, within, () => {}) };
      },
      async *executeTools({ calls, context, answerWithin }, handler) {
        const within = answerWithin && durationMs(answerWithin);
        const events: ReturnType<typeof create<typeof ExecuteToolsResponseSchema>>[] = [];
        let wake = Promise.withResolvers<void>();
        const emit = (event: (typeof events)[number]["event"]) => {
          events.push(create(ExecuteToolsResponseSchema, { event }));
          wake.resolve();
        };
        let ended = 0;
        const all = calls.map(async (call) => {
          note(call, context, within, handler);
          const report = (message: string, fraction: number) =>
            emit({
              case: "progress",
              value: { $typeName: "jackfield.v1.Progress", callId: call.id, message, fraction },
            });
          const result = await answer(call, handler.signal, within, report);
          ended += 1;
          emit({ case: "result", value: result });
          return result;
        });
        const failed = Promise.all(all).then(() => new Promise<never>(() => {}));
        failed.catch(() => {});
        while (ended < calls.length || events.length > 0) {
          if (events.length === 0) await Promise.race([wake.promise, failed]);
          wake = Promise.withResolvers();
          yield* events.splice(0);
        }
        yield { event: { case: "done", value: { results: await Promise.all(all) } } };
      },
      getCall({ callId }, handler) {
        lookedUp.push({ callId, traceId: traceIdOf(handler), signal: handler.signal });
        return stateOf(callId);
      },
      async waitCall({ callId }, handler) {
        lookedUp.push({ callId, traceId: traceIdOf(handler), signal: handler.signal });
        const disconnected = new Promise<never>((_, reject) =>
          handler.signal.addEventListener("abort", () => reject(handler.signal.reason)),
        );
        await Promise.race([running.get(callId), disconnected]);
        return stateOf(callId);
      },
    };
    const jobs: Partial<ServiceImpl<typeof Jobs>> = {
      async submitJob({ job }) {
        const stored = submit
          ? await submit(job!)
          : create(JobSchema, { ...job!, id: "job-1", state: JobState.ACCEPTED });
        return { job: stored };
      },
    };
    const transport = createInProcessTransport(
      [createServiceImplSpec(ToolExecutor, executor), createServiceImplSpec(Jobs, jobs)],
      {
        caller: { name: "stand", tenant: "default", scopes: new Set(allScopes), tools: undefined },
        front: createOpenFront(observed.telemetry),
      },
    );
    return { executor: createClient(ToolExecutor, transport), jobs: createClient(Jobs, transport) };
  }

  const clients = new Map<string, AdapterClients>();
  const host = createAdapterHost(adapter, instruments, {
    telemetry: observed.telemetry,
    version: "0.1.0",
    authenticate,
    refusals,
    clientsFor({ name }) {
      let made = clients.get(name);
      if (made === undefined) clients.set(name, (made = clientsOf(name)));
      return made;
    },
  });
  const app = await createHttp({
    host: "127.0.0.1",
    allowedHosts: [],
    limits: { bodyBytes: 1_048_576, depth: 32, streamsPerConnection: 100 },
    log: pino({ level: "silent" }),
    rpc: rpcByRequest((_request, response) => response.end()),
    refusals,
    readiness: createReadiness([]),
    authenticate: () => undefined,
    challenges: createChallenges(undefined),
    prometheus: () => observed.telemetry.prometheus(),
    tools: () => [],
    mounts: [(scope) => mountAdapter(scope, adapter, host, times)],
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;

  return {
    port,
    url,
    seen,
    lookedUp,
    /** Requests that were refused for their key, signature or scope, as in the audit log. */
    refused,
    results,
    telemetry: observed.telemetry,
    log: observed.lines,
    /** Makes every later look-up of a call fail. */
    failLookUps: (error: Error) => void (lookUpError = error),
    post: (path: string, body: unknown, headers: Record<string, string> = {}) =>
      fetch(url + path, {
        method: "POST",
        body: typeof body === "string" ? body : JSON.stringify(body),
        headers: { "content-type": "application/json", ...headers },
      }),
    async [Symbol.asyncDispose]() {
      app.server.closeAllConnections();
      await app.close();
      await observed[Symbol.asyncDispose]();
    },
  };
}

function traceIdOf({ values }: HandlerContext): string | undefined {
  const parent = values.get(kTrace);
  return parent && trace.getSpanContext(parent)?.traceId;
}

/** Waits until a condition holds. */
export async function until(holds: () => unknown): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 2));
}
