import { Code, ConnectError } from "@connectrpc/connect";
import { SpanStatusCode } from "@opentelemetry/api";
import { InMemorySpanExporter } from "@opentelemetry/sdk-trace";
import { expect, test } from "vitest";
import { createCognigyAdapter } from "../../src/adapters/cognigy/index.ts";
import { cognigyInstruments } from "../../src/adapters/cognigy/payloads.ts";
import { createGenesysAdapter } from "../../src/adapters/genesys/index.ts";
import { createHttpAdapter } from "../../src/adapters/http/index.ts";
import { createMcpAdapter } from "../../src/adapters/mcp/index.ts";
import { startAdapter, type AdapterTestOptions, until } from "./start-adapter.ts";
import { type SimulatedTool } from "./simulated-tools.ts";

// Spans of requests: trace, attributes and status.

const traceId = "0af7651916cd43dd8448eb211c80319c";
const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
const tools: Record<string, SimulatedTool> = {
  echo: (args) => args,
  boom: () => {
    throw new Error("broken");
  },
};

const cognigy = createCognigyAdapter({
  answerWithinMs: 5000,
  sanitize: "text",
  maxOutput: 256,
  maxPending: 10,
  keys: [],
  corsOrigins: [],
});
const genesys = createGenesysAdapter({
  settings: { answerWithinMs: 5000, sanitize: "text", maxOutput: 256, webhookKey: undefined },
  callsPerRequest: 8,
  canDeliver: true,
});
const http = createHttpAdapter(
  { answerWithinMs: 5000, publicUrl: "", corsOrigins: [], sanitize: "text", maxOutput: 256 },
  { version: "1", metadataUrl: undefined },
);
const mcp = createMcpAdapter(
  {
    answerWithinMs: 5000,
    taskAfterMs: 5000,
    pageSize: 100,
    listTtlMs: 0,
    instructions: "",
    sanitize: "text",
    maxOutput: 256,
  },
  {
    version: "1",
    log: { error: () => {} },
    trusted: { hosts: [], origins: [] },
    metadataUrl: undefined,
    taskTtlMs: 1000,
    stateSecret: async () => "secret",
    shutdown: AbortSignal.any([]),
  },
);

/** Starts an adapter, and records its spans. */
async function traced(options: AdapterTestOptions) {
  const exporter = new InMemorySpanExporter();
  const app = await startAdapter({ tools, ...options, spanExporter: exporter });
  return {
    app,
    /** Waits for the next span of a request, and removes it. */
    async span() {
      await until(() => exporter.getFinishedSpans().length > 0);
      const [span] = exporter.getFinishedSpans();
      exporter.reset();
      const { "http.request.method": method, "http.route": route, ...attributes } = span!.attributes;
      return {
        name: span!.name,
        route: `${String(method)} ${String(route)}`,
        attributes,
        failed: span!.status.code === SpanStatusCode.ERROR,
        traceId: span!.spanContext().traceId,
        traceState: span!.spanContext().traceState?.serialize(),
      };
    },
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}

test("a callback's span has its call id and ends with its status", async () => {
  await using started = await traced({ adapter: cognigy, instruments: cognigyInstruments });
  const { app, span } = started;
  const path = "/api/v1/llm/tool-callback";
  await app.post(path, { tool_call_id: "c-1", name: "echo" }, { traceparent, tracestate: "a=1,b=2" });
  expect(await span()).toEqual({
    name: `POST ${path}`,
    route: `POST ${path}`,
    attributes: { "gen_ai.tool.call.id": "c-1", "http.response.status_code": 200 },
    failed: false,
    traceId,
    traceState: "a=1,b=2",
  });
  expect(app.seen.map((seen) => seen.traceId)).toEqual([traceId]);
  await app.post(path, { tool_call_id: "c-2", name: "boom" });
  expect(await span()).toMatchObject({
    attributes: { "gen_ai.tool.call.id": "c-2", "http.response.status_code": 500 },
    failed: true,
  });
});

test("a poll's span ends with the status of its answer", async () => {
  await using started = await traced({ adapter: cognigy, instruments: cognigyInstruments });
  const { app, span } = started;
  const path = "/api/v1/llm/tool-callback";
  const poll = async () => {
    const { status } = await fetch(`${app.url}${path}/c-1`, { headers: { traceparent } });
    const { name, attributes, failed, traceId: continued } = await span();
    expect([name, attributes, continued]).toEqual([
      `GET ${path}/:tool_call_id`,
      { "http.response.status_code": status },
      traceId,
    ]);
    return [status, failed];
  };
  expect(await poll()).toEqual([404, false]);
  await app.post(path, { tool_call_id: "c-1", name: "echo" });
  await span();
  expect(await poll()).toEqual([200, false]);
  app.failLookUps(new ConnectError("broken", Code.Internal));
  expect(await poll()).toEqual([500, true]);
});

test("a stream's span has conversation and session, and ends with the stream", async () => {
  await using started = await traced({ adapter: genesys });
  const { app, span } = started;
  const path = "/llm-gateway/tools";
  const body = (name: string) => ({
    tool_calls: [{ id: "1", function: { name, arguments: "{}" } }],
    conversation_id: "conv",
    session_id: "sess",
  });
  await (await app.post(path, body("echo"), { traceparent })).text();
  expect(await span()).toMatchObject({
    name: `POST ${path}`,
    attributes: { "gen_ai.conversation.id": "conv", "session.id": "sess", "http.response.status_code": 200 },
    failed: false,
    traceId,
  });
  expect((await app.post(path, body("boom"))).status).toBe(500);
  expect(await span()).toMatchObject({ attributes: { "http.response.status_code": 500 }, failed: true });
});

test("an accepted batch's span has its run and its job", async () => {
  await using started = await traced({ adapter: genesys });
  const { app, span } = started;
  const path = "/webhook/tool-calls";
  const body = { run_id: "run-1", tool_calls: [{ id: "1", function: { name: "echo", arguments: "{}" } }] };
  expect((await app.post(path, body, { traceparent })).status).toBe(202);
  expect(await span()).toMatchObject({
    name: `POST ${path}`,
    attributes: { "jackfield.run.id": "run-1", "jackfield.job.id": "job-1", "http.response.status_code": 202 },
    failed: false,
    traceId,
  });
});

test("the span of a batch that cannot be stored has failed", async () => {
  await using started = await traced({ adapter: genesys, submit: () => Promise.reject(new Error("full")) });
  const { app, span } = started;
  const body = { run_id: "run-1", tool_calls: [{ id: "1", function: { name: "echo", arguments: "{}" } }] };
  expect((await app.post("/webhook/tool-calls", body)).status).toBe(500);
  const { attributes, failed } = await span();
  expect([attributes, failed]).toEqual([{ "jackfield.run.id": "run-1", "http.response.status_code": 500 }, true]);
  expect(app.log.join("")).toContain('"run_id":"run-1"');
});

test("the span of an HTTP call has call and conversation ids, and the tool runs in its trace", async () => {
  await using started = await traced({ adapter: http });
  const { app, span } = started;
  const headers = { traceparent, "idempotency-key": "k-1", "jackfield-conversation-id": "conv" };
  await app.post("/tools/echo", {}, headers);
  expect(await span()).toMatchObject({
    name: "POST /tools/:name",
    attributes: {
      "gen_ai.tool.call.id": "k-1",
      "gen_ai.conversation.id": "conv",
      "http.response.status_code": 200,
    },
    failed: false,
    traceId,
  });
  expect(app.seen.map((seen) => seen.traceId)).toEqual([traceId]);
  await fetch(`${app.url}/calls/k-1`, { headers: { traceparent } });
  expect(await span()).toMatchObject({ attributes: { "http.response.status_code": 200 }, traceId });
  expect(app.lookedUp.map((looked) => looked.traceId)).toEqual([traceId]);
  await fetch(`${app.url}/calls/k-1`, { headers: { traceparent, prefer: "wait=1" } });
  await span();
  expect(app.lookedUp.map((looked) => looked.traceId)).toEqual([traceId, traceId]);
  expect((await app.post("/tools/boom", {})).status).toBe(500);
  expect(await span()).toMatchObject({ attributes: { "http.response.status_code": 500 }, failed: true });
});

test("the span of an MCP request continues the trace of its headers, or else of its message", async () => {
  await using started = await traced({ adapter: mcp });
  const { app, span } = started;
  const call = (params: object, headers: Record<string, string> = {}) =>
    app.post("/mcp", { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "echo", ...params } }, headers);
  const keys = { "jackfield/idempotencyKey": "k-1", "jackfield/conversationId": "conv" };
  await call({ _meta: { traceparent, ...keys } });
  expect(await span()).toMatchObject({
    name: "POST /mcp",
    attributes: { "gen_ai.tool.call.id": "k-1", "gen_ai.conversation.id": "conv", "http.response.status_code": 200 },
    traceId,
  });
  expect(app.seen.map((seen) => seen.traceId)).toEqual([traceId]);
  await call({ _meta: { traceparent: `00-${"1".repeat(32)}-b7ad6b7169203331-01` } }, { traceparent });
  expect((await span()).traceId).toBe(traceId);
  for (const params of [{}, { _meta: 7 }, { _meta: { traceparent: 7 } }, { _meta: { traceparent: "nonsense" } }]) {
    await call(params);
    expect((await span()).traceId).not.toBe(traceId);
  }
  for (const odd of ["7", '{"jsonrpc":"2.0","id":1,"method":"ping","params":7}']) {
    await app.post("/mcp", odd);
    expect(await span()).toMatchObject({ attributes: { "http.response.status_code": 400 }, failed: false });
  }
  await app.post("/mcp", { jsonrpc: "2.0", id: 1, method: "ping" });
  expect((await span()).attributes).toEqual({ "http.response.status_code": 200 });
});
