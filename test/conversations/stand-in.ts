import { create, fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import {
  type Client,
  createClient,
  createRouterTransport,
  type Interceptor,
  createContextValues,
} from "@connectrpc/connect";
import { type Context, ProxyTracerProvider } from "@opentelemetry/api";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { RunConversationRequestSchema, type RunConversationResponse } from "../../gen/jackfield/v1/conversations_pb.ts";
import { ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { type Outcome, type ToolCall, ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { createConversations } from "../../src/conversations/conversations.ts";
import type { GatewayOptions } from "../../src/conversations/gateway.ts";
import type { AuditEvent } from "../../src/telemetry/telemetry.ts";
import { kTrace } from "../../src/telemetry/trace-key.ts";
import { startDownstream, startOutbound } from "../outbound/downstream.ts";

/** The reply of the gateway to one request. */
export type Reply = { status?: number; headers?: Record<string, string>; body: unknown } | "never";

/** The final answer of a model. */
export function textAnswer(content: unknown): Reply {
  return { body: { choices: [{ message: { role: "assistant", content } }] } };
}

/** The answer of a model that calls tools. */
export function callsAnswer(...calls: [id: string, name: string, args: unknown][]): Reply {
  const tool_calls = calls.map(([id, name, args]) => ({ id, type: "function", function: { name, arguments: args } }));
  return { body: { choices: [{ message: { role: "assistant", content: null, tool_calls } }] } };
}

/** A 429. */
export function busy(retryAfter?: string): Reply {
  return { status: 429, headers: retryAfter === undefined ? {} : { "retry-after": retryAfter }, body: {} };
}

/** A tool of the stand-in executor. */
export type SimulatedTool = (
  call: ToolCall,
  hooks: { progress(message: string): void; signal: AbortSignal },
) => Promise<JsonObject>;

/** A tool that returns a value. */
export function toolReturning(value: JsonValue): SimulatedTool {
  const output = typeof value === "string" ? value : JSON.stringify(value);
  return async () => ({ outcome: "OUTCOME_OK", output, value, duration: "0.120s", attempts: 1 });
}

/** A tool whose calls end with another outcome. */
export function toolEnding(
  outcome: keyof typeof Outcome,
  message: string,
  violations: JsonObject[] = [],
): SimulatedTool {
  return async () => ({ outcome: `OUTCOME_${outcome}`, output: message, error: { message, violations } });
}

/** A service that implements ToolExecutor over Connect and simulates tools. It records the traces and contexts of calls. */
export function simulateExecutor(tools: Record<string, SimulatedTool>): {
  executor: Client<typeof ToolExecutor>;
  traces: Map<string, Context | undefined>;
  conversations: string[];
  running: { now: number; max: number };
} {
  const traces = new Map<string, Context | undefined>();
  const conversations: string[] = [];
  const running = { now: 0, max: 0 };
  const names = Object.keys(tools).sort();
  const transport = createRouterTransport(
    ({ service }) => {
      service(ToolExecutor, {
        // One tool per page, to detect a client that reads only the first page.
        listTools({ pageToken }) {
          const at = Number(pageToken || 0);
          const tool = {
            name: names[at]!,
            description: `The tool ${names[at]}.`,
            inputSchema: { type: "object", properties: { id: { type: "string" } } },
          };
          return { tools: names.length > 0 ? [tool] : [], nextPageToken: at + 1 < names.length ? String(at + 1) : "" };
        },
        async *executeTools({ calls, context }, { signal }) {
          const [call] = calls as [ToolCall];
          conversations.push(context!.conversationId);
          running.now += 1;
          running.max = Math.max(running.max, running.now);
          const reports: string[] = [];
          const played = tools[call.name] ?? toolEnding("UNKNOWN_TOOL", `Unknown tool: ${call.name}`);
          const json = await played(call, { progress: (message) => reports.push(message), signal });
          running.now -= 1;
          for (const message of reports)
            yield { event: { case: "progress", value: { callId: call.id, message, fraction: 0.5 } } };
          const result = fromJson(ToolResultSchema, { callId: call.id, name: call.name, ...json });
          yield { event: { case: "result", value: result } };
          yield { event: { case: "done", value: { results: [result] } } };
        },
      });
    },
    { transport: { interceptors: [keepTraces(traces)] } },
  );
  return { executor: createClient(ToolExecutor, transport), traces, conversations, running };
}

function keepTraces(traces: Map<string, Context | undefined>): Interceptor {
  return (next) => async (request) => {
    if (request.stream) {
      const messages = request.message as AsyncIterable<unknown>;
      const seen: unknown[] = [];
      for await (const message of messages) seen.push(message);
      const [first] = seen as [{ calls: ToolCall[] }];
      traces.set(first.calls[0]!.id, request.contextValues.get(kTrace));
      return next({
        ...request,
        message: (async function* () {
          yield* seen;
        })() as never,
      });
    }
    return next(request);
  };
}

/** Starts a gateway that answers from a list and repeats the last entry, and the conversation loop. */
export async function startConversation(
  replies: Reply[],
  tools: Record<string, SimulatedTool>,
  over: Partial<GatewayOptions> & { tracing?: boolean } = {},
) {
  const { tracing = true, ...gatewayOver } = over;
  const gateway = await startDownstream((response) => {
    const reply = replies[Math.min(gateway.requests.length, replies.length) - 1]!;
    if (reply === "never") return;
    const body = typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body);
    response.writeHead(reply.status ?? 200, { "content-type": "application/json", ...reply.headers }).end(body);
  });
  const outbound = startOutbound();
  const played = simulateExecutor(tools);
  const exporter = new InMemorySpanExporter();
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  const audited: AuditEvent[] = [];
  const pauses: number[] = [];
  const tokens = { stale: [] as string[] };
  const conversations = createConversations({
    executor: played.executor,
    gateway: {
      baseUrl: `${gateway.origin}/`,
      token: {
        get: async () => "token-1",
        refresh: async (stale) => (tokens.stale.push(stale), "token-2"),
      },
      send: outbound.send,
      random: () => 0.5,
      sleep: async (ms) => void pauses.push(ms),
      ...gatewayOver,
    },
    observation: {
      tracing,
      tracer: tracing ? provider.getTracer("test") : new ProxyTracerProvider().getTracer("none"),
      audit: { write: (event) => void audited.push(event) },
      contextValues: (context) => createContextValues().set(kTrace, context),
    },
    now: () => 1_700_000_000_500,
  });
  return {
    audited,
    pauses,
    tokens,
    executor: played.executor,
    traces: played.traces,
    running: played.running,
    seenConversations: played.conversations,
    requests: gateway.requests,
    /** The bodies that the gateway received. */
    bodies: () => gateway.requests.map((request) => JSON.parse(request.body) as SentBody),
    spans: () => exporter.getFinishedSpans(),
    /** Runs a conversation to its end. */
    async converse(message = "Hi", conversationId = "c-1", signal = new AbortController().signal) {
      const events: RunConversationResponse["event"][] = [];
      const request = create(RunConversationRequestSchema, { message, conversationId });
      for await (const { event } of conversations.run(request, { signal })) events.push(event);
      const last = events.at(-1);
      if (last?.case !== "done") throw new Error("the last event is not the end");
      return { events, text: last.value.text, rounds: last.value.rounds };
    },
    async [Symbol.asyncDispose]() {
      await provider.shutdown();
      await outbound.close();
      await gateway[Symbol.asyncDispose]();
    },
  };
}

/** A body that the gateway received. */
export interface SentBody {
  model: string;
  stream: boolean;
  tools: { type: string; function: { name: string; description: string; parameters: unknown } }[];
  messages: { role: string; content: string; tool_call_id?: string; tool_calls?: unknown[] }[];
}
