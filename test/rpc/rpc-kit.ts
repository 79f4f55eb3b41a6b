import * as http from "node:http";
import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { fromJson } from "@bufbuild/protobuf";
import { ConnectError, type Code, type ServiceImplSpec } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { ROOT_CONTEXT, trace } from "@opentelemetry/api";
import fastify from "fastify";
import { pino } from "pino";
import { CallState } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import {
  Effect,
  Outcome,
  ProgressSchema,
  ToolResultSchema,
  ToolSchema,
  ViolationSchema,
} from "../../gen/jackfield/v1/tool_pb.ts";
import type { ToolCall, ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Limits } from "../../src/config/config.ts";
import type { CallStatus, ExecutionRequest, Executor } from "../../src/executor/contract.ts";
import type { JobQueue } from "../../src/jobs/job-queue.ts";
import type { CompiledTool, Registry } from "../../src/registry/registry.ts";
import type { FastPath } from "../../src/rpc/fast-path/fast-path.ts";
import { pathOf, type HttpListener } from "../../src/rpc/fast-path/http-exchange.ts";
import { createFrontHooks } from "../../src/rpc/mount.ts";
import { createRoutes } from "../../src/rpc/mount.ts";
import { CallValues } from "../../src/rpc/rpc-call.ts";
import { createRpc, type RpcParts } from "../../src/rpc/rpc.ts";
import { answerUnknownMethod } from "../../src/rpc/rpc.ts";
import { createServices, type ServiceParts } from "../../src/rpc/services/services.ts";
import { createOpenFront, local } from "../support/front.ts";
import { batchPerTick } from "../../src/server/port.ts";
import type { Telemetry } from "../../src/telemetry/telemetry.ts";

export const limits: Limits = {
  bodyBytes: 1_048_576,
  argumentsBytes: 262_144,
  depth: 32,
  callsPerRequest: 64,
  outputBytes: 65_536,
  downstreamBytes: 2_097_152,
  streamsPerConnection: 100,
};

/** An echo executor that records its calls. */
export interface EchoExecutor extends Executor {
  readonly seen: { call: ToolCall; request: ExecutionRequest }[];
  readonly calls: Map<string, CallStatus>;
}

/** Answers calls with their arguments. The tool's name selects the behaviour: `fail-<code>`, `throw`, `slow`, `progress`, `none` (no value). */
export function createEchoExecutor(): EchoExecutor {
  const seen: EchoExecutor["seen"] = [];
  const calls = new Map<string, CallStatus>();
  const execute = async (call: ToolCall, request: ExecutionRequest): Promise<ToolResult> => {
    seen.push({ call, request });
    if (seen.length > 1000) seen.length = 0;
    const { name, id } = call;
    if (name === "throw") throw new Error("the password is hunter2");
    if (name.startsWith("fail-")) {
      const code = Number(name.slice(5)) as Code;
      const details = [{ desc: ViolationSchema, value: create(ViolationSchema, { path: "/a", message: "é ☎" }) }];
      throw new ConnectError("fails: é ☎ %", code, { "x-why": "because", "content-type": "text/evil" }, details);
    }
    if (name === "slow") {
      await new Promise<void>((_, reject) => request.cancellation?.subscribe(reject));
    }
    if (name === "progress")
      request.onProgress?.(create(ProgressSchema, { callId: id, message: "half way", fraction: 0.5 }));
    const value =
      call.input.case === "arguments" && name !== "none" ? fromJson(ValueSchema, call.input.value) : undefined;
    const output = call.input.case === "argumentsJson" ? call.input.value : "ok";
    return create(ToolResultSchema, { callId: id, name, outcome: Outcome.OK, output, value, attempts: 1 });
  };
  return {
    seen,
    calls,
    running: 0,
    execute,
    async executeAll(all, request) {
      return Promise.all(
        all.map(async (call) => {
          const result = await execute(call, request);
          request.onResult?.(result);
          return result;
        }),
      );
    },
    async find(callId) {
      return calls.get(callId);
    },
    async wait(callId, _context, _caller, signal) {
      const status = calls.get(callId);
      if (status?.state !== CallState.RUNNING) return status;
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
      return calls.get(callId);
    },
    async drain() {},
  };
}

/** A registry of tools that have only names. */
export function createNamedRegistry(names: readonly string[]): Registry {
  const tools = names.toSorted().map((name) => {
    const message = create(ToolSchema, { name, description: "", effect: Effect.READ, inputSchema: { type: "object" } });
    return { name, message, bundled: true } as unknown as CompiledTool;
  });
  return {
    get: (name) => tools.find((tool) => tool.name === name),
    list: () => tools,
    put() {},
    remove: () => false,
    async check() {
      return { problems: [], notes: [] };
    },
    async close() {},
  };
}

/** Telemetry that records everything. */
export function createWatchedTelemetry() {
  const lines: string[] = [];
  const served: { method: string; code: string; seconds: number }[] = [];
  const log = pino({ level: "debug" }, { write: (line: string) => void lines.push(line) });
  const telemetry: Telemetry = {
    log,
    tracer: trace.getTracer("test"),
    tracing: false,
    begin: (_name, parent) => ({ context: parent ?? ROOT_CONTEXT, span: undefined }),
    metrics: {
      executed() {},
      rpcServed: (method, code, seconds) => void (served.length < 10_000 && served.push({ method, code, seconds })),
      measureFor: () => () => {},
      delivered() {},
      accessRefused() {},
      breakerChanged() {},
      gauge() {},
    },
    audit: { write() {}, executed() {}, async close() {} },
    hide() {},
    hideToken() {},
    redact: (text: string) => text,
    prometheus: async () => "",
    extract: () => undefined,
    flushLog() {},
    inject: () => ({}),
    close: async () => {},
  };
  return { telemetry, lines, served };
}

/** Parts for the services, over an echo executor. */
export function createParts(change: Partial<ServiceParts> = {}): ServiceParts & { executor: Executor } {
  return {
    executor: createEchoExecutor(),
    registry: createNamedRegistry(["echo", "get_a", "get_b", "set_a"]),
    queue: {
      async get() {},
      async enqueue(record: unknown) {
        return { record, existed: false };
      },
    } as unknown as JobQueue,
    eraseCalls: async () => 0,
    deliveries: { genesys: { tenant: "default" } },
    limits,
    telemetry: createWatchedTelemetry().telemetry,
    serving: { serving: () => true, onChange: () => () => {} },
    ...change,
  };
}

/** Connect's own listener for the same services: only caller, cancellation and errors are ours. */
export function stockListener(
  services: readonly ServiceImplSpec[],
  telemetry: Telemetry,
  readMaxBytes: number,
): HttpListener {
  return connectNodeAdapter({
    routes: createRoutes(services),
    readMaxBytes,
    requireConnectProtocolHeader: false,
    ...createFrontHooks({ front: createOpenFront(telemetry), telemetry }),
    contextValues: () => new CallValues(),
  });
}

/** Our listener without authentication. */
export function openListener(
  services: readonly ServiceImplSpec[],
  telemetry: Telemetry,
  readMaxBytes: number,
): Promise<RpcListener> {
  return createListener({
    services,
    telemetry,
    messages: { readMaxBytes, maxItems: limits.callsPerRequest },
    front: createOpenFront(telemetry),
    corsOrigins: [],
  });
}

/** Answers RPCs of both HTTP versions like the port: by the fast path, otherwise by Fastify. */
export interface RpcListener {
  readonly request: HttpListener;
  readonly stream: FastPath["stream"];
}

/** Our listener: the fast path in front of Fastify. */
export async function createListener(parts: RpcParts): Promise<RpcListener> {
  const { fastPath, hasMethod, mount } = createRpc(parts);
  let fallback: HttpListener | undefined;
  const app = fastify({
    logger: false,
    serverFactory(handler) {
      fallback = handler as HttpListener;
      return http.createServer();
    },
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(new Error("no parser of ours is asked")));
  await app.register((scope) => mount(scope));
  await app.ready();
  return {
    request(request, response) {
      if (fastPath.request(request, response)) return;
      if (hasMethod(pathOf(request))) fallback?.(request, response);
      else answerUnknownMethod(request, response);
    },
    stream: fastPath.stream,
  };
}

/** Starts two servers, one per HTTP version, for one listener. */
export async function serve(listener: RpcListener | HttpListener) {
  const request = typeof listener === "function" ? listener : listener.request;
  const h1 = http.createServer(request);
  const h2 = http2.createServer();
  const compat = http2.createServer(request);
  // Like the port.
  const opened = batchPerTick(
    (_stream: http2.ServerHttp2Stream, served: () => void) => served(),
    (stream) => stream.destroyed || stream.closed,
  );
  h2.on("stream", (stream: http2.ServerHttp2Stream, headers, flags, rawHeaders) => {
    const served = typeof listener === "function" ? undefined : listener.stream(stream, headers, rawHeaders);
    if (served === undefined) {
      compat.emit("stream", stream, headers, flags, rawHeaders);
    } else {
      stream.on("error", () => {});
      opened(stream, served);
    }
  });
  const sessions = new Set<http2.ServerHttp2Session>();
  h2.on("session", (session) => sessions.add(session));
  const listening = (server: http.Server | http2.Http2Server) =>
    new Promise<number>((resolve) =>
      server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)),
    );
  const [port1, port2] = await Promise.all([listening(h1), listening(h2)]);
  return {
    url1: `http://127.0.0.1:${port1}`,
    url2: `http://127.0.0.1:${port2}`,
    port1,
    port2,
    async [Symbol.asyncDispose]() {
      h1.closeAllConnections();
      for (const session of sessions) session.destroy();
      await Promise.all([new Promise((resolve) => h1.close(resolve)), new Promise((resolve) => h2.close(resolve))]);
    },
  };
}

export { createOpenFront, createServices, local };
