import { createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node";
import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { ToolPlugin } from "../../gen/jackfield/v1/tool_plugin_pb.ts";
import { Conversations } from "../../gen/jackfield/v1/conversations_pb.ts";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { post, rpc, readAnswer, until } from "../support/http-client.ts";
import { startOtlp, type WireSpan } from "../support/otlp.ts";
import { startReceiver } from "../support/receiver.ts";
import { startService, testTool, type ServiceUnderTest } from "../support/service.ts";
import { testRequirement } from "../support/test-requirement.ts";

type Line = Record<string, unknown>;

const linesOf = (text: string): Line[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
const logOf = (service: ServiceUnderTest, message: string) =>
  linesOf(service.logs()).filter(({ msg }) => msg === message);
const audited = (service: ServiceUnderTest) =>
  linesOf(readFileSync(join(service.dataDir, "audit.jsonl"), "utf8")).filter(({ event }) => event === "tool_execution");
const call = (id: string, name: string, args: object) => ({ id, function: { name, arguments: args } });

testRequirement(
  ["000.10", "000.12", "001.9"],
  "run and job are on every log line and span of a batch: its calls, their retries, and its delivery",
  async () => {
    await using otlp = await startOtlp();
    await using office = await startReceiver(() =>
      office.received.length === 1 ? { status: 429, headers: { "retry-after": "0" } } : { body: { booked: true } },
    );
    let deliveries = 0;
    await using platform = await startReceiver(({ path }) => {
      if (path === "/oauth/token") return { body: { access_token: "t-0123456789", expires_in: 3600 } };
      deliveries += 1;
      return deliveries === 1 ? { status: 503, body: { message: "busy" } } : { status: 204, body: "" };
    });
    let jobId = "";
    let lines: Line[] = [];
    {
      await using service = await startService({
        env: onPlatform(otlp.url, platform.url),
        plugins: [{ use: testTool("book"), config: { baseUrl: office.url } }],
      });
      const accepted = await readAnswer(
        post(`${service.url}/webhook/tool-calls`, {
          run_id: "run-seen",
          tool_calls: [call("w", "book", { seat: "1" })],
        }),
      );
      jobId = accepted.headers.get("jackfield-job-id") ?? "";
      expect(jobId).not.toBe("");
      await until(() => logOf(service, "results were delivered").length > 0, 20_000);
      lines = linesOf(service.logs());
      const ids = { run_id: "run-seen", job: jobId };
      expect(logOf(service, "a request is repeated after a pause")).toMatchObject([
        {
          level: "warn",
          origin: office.url,
          status: 429,
          attempt: 1,
          wait_ms: expect.any(Number),
          tool: "book",
          call: "w",
          trace_id: expect.any(String),
          ...ids,
        },
      ]);
      expect(logOf(service, "a delivery will be tried again")).toMatchObject([
        { level: "warn", attempts: 1, wait_ms: expect.any(Number), error: expect.stringContaining("503"), ...ids },
      ]);
      expect(logOf(service, "results were delivered")).toMatchObject([{ level: "info", attempts: 2, ...ids }]);
      await until(() => audited(service).length > 0);
      expect(audited(service)).toMatchObject([{ tool_call_id: "w", run_id: "run-seen", job_id: jobId }]);
    }
    // Every line about the batch contains them.
    for (const line of lines.filter((one) => one["call"] === "w" || one["delivery"] !== undefined)) {
      expect(line).toMatchObject({ run_id: "run-seen", job: jobId });
    }
    const spans = otlp.spans();
    const about = { "jackfield.run.id": "run-seen", "jackfield.job.id": jobId };
    for (const name of ["POST /webhook/tool-calls", "job", "execute_tool book"]) {
      expect([name, spans.find((span) => span.name === name)?.attributes]).toMatchObject([name, about]);
    }
    const clientsTo = (url: string) => {
      const port = Number(new URL(url).port);
      return spans.filter(({ attributes }) => attributes["server.port"] === port);
    };
    expect(clientsTo(office.url).map(({ attributes }) => attributes)).toMatchObject([
      { ...about, "gen_ai.tool.call.id": "w", "http.response.status_code": 429 },
      { ...about, "gen_ai.tool.call.id": "w", "http.response.status_code": 200 },
    ]);
    // Two deliveries; the token between them belongs to no batch alone.
    expect(clientsTo(platform.url).filter(({ attributes }) => attributes["jackfield.job.id"] === jobId)).toHaveLength(
      2,
    );
  },
  60_000,
);

test("conversation and session are on the log lines and spans of a call on every entry point", async () => {
  await using otlp = await startOtlp();
  await using office = await startReceiver(() => ({ body: { booked: true } }));
  {
    await using service = await startService({
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url },
      plugins: [
        { use: testTool("book"), config: { baseUrl: office.url } },
        { use: testTool("echo") },
        { use: testTool("nap"), limits: { timeoutMs: 50 } },
      ],
    });
    const { url } = service;
    await readAnswer(
      post(`${url}/llm-gateway/tools`, {
        conversation_id: "c-gateway",
        session_id: "s-gateway",
        tool_calls: [call("g1", "book", { seat: "1" }), call("g2", "echo", {}), call("g3", "nap", { ms: 60_000 })],
      }),
    );
    const context = { conversationId: "c-rpc", sessionId: "s-rpc", runId: "r-rpc" };
    await rpc(url, "ToolExecutor/ExecuteTool", { call: { id: "r1", name: "book", arguments: { seat: "2" } }, context });
    await readAnswer(post(`${url}/tools/book`, { seat: "3" }, { "jackfield-conversation-id": "c-http" }));
    const params = {
      name: "book",
      arguments: { seat: "4" },
      _meta: { "jackfield/conversationId": "c-mcp", "jackfield/idempotencyKey": "m1" },
    };
    await readAnswer(post(`${url}/mcp`, { jsonrpc: "2.0", id: 1, method: "tools/call", params }));

    const gateway = { conversation: "c-gateway", session: "s-gateway" };
    expect(logOf(service, "echoing")).toMatchObject([{ call: "g2", ...gateway }]);
    expect(logOf(service, "tool timed out")).toMatchObject([{ level: "warn", call: "g3", timeout_ms: 50, ...gateway }]);
    await until(() => audited(service).length === 6);
    const lines = audited(service).map((line) => [line["conversation_id"], line["session_id"], line["run_id"]]);
    expect(lines).toEqual(
      expect.arrayContaining([
        ["c-gateway", "s-gateway", undefined],
        ["c-rpc", "s-rpc", "r-rpc"],
        ["c-http", undefined, "idempotency-key"],
        ["c-mcp", undefined, "idempotency-key"],
      ]),
    );
  }
  const spans = otlp.spans();
  const conversationsOf = (wanted: (span: WireSpan) => boolean) =>
    spans
      .filter(wanted)
      .map(({ attributes }) => attributes["gen_ai.conversation.id"])
      .toSorted();
  expect(conversationsOf(({ name }) => name === "execute_tool book")).toEqual([
    "c-gateway",
    "c-http",
    "c-mcp",
    "c-rpc",
  ]);
  const port = Number(new URL(office.url).port);
  expect(conversationsOf(({ attributes }) => attributes["server.port"] === port)).toEqual([
    "c-gateway",
    "c-http",
    "c-mcp",
    "c-rpc",
  ]);
  for (const [name, conversation] of [
    ["POST /llm-gateway/tools", "c-gateway"],
    ["jackfield.v1.ToolExecutor/ExecuteTool", "c-rpc"],
    ["POST /tools/:name", "c-http"],
    ["POST /mcp", "c-mcp"],
  ]) {
    expect([name, conversationsOf((span) => span.name === name)]).toEqual([name, [conversation]]);
  }
  const [server] = spans.filter(({ name }) => name === "jackfield.v1.ToolExecutor/ExecuteTool");
  expect(server?.attributes).toMatchObject({ "session.id": "s-rpc", "jackfield.run.id": "r-rpc" });
}, 60_000);

test("a request to a gRPC target has a client span with the ids of its call, and propagates it", async () => {
  await using otlp = await startOtlp();
  const traces: (string | null)[] = [];
  const plugin = http2.createServer(
    connectNodeAdapter({
      routes: (router) =>
        router.service(ToolPlugin, {
          async *execute(_request, { requestHeader }) {
            traces.push(requestHeader.get("traceparent"));
            yield {
              event: { case: "output" as const, value: { kind: { case: "stringValue" as const, value: "far" } } },
            };
          },
        }),
    }),
  );
  await new Promise<void>((resolve) => plugin.listen(0, "127.0.0.1", resolve));
  const { port } = plugin.address() as AddressInfo;
  {
    await using service = await startService({
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url, JACKFIELD_PRIVATE_ADDRESSES: "127.0.0.1" },
      plugins: [{ use: testTool("echo") }],
    });
    const tool = { name: "far", description: "Answers.", inputSchema: { type: "object" }, effect: "EFFECT_READ" };
    await rpc(service.url, "ToolRegistry/RegisterTool", { tool, target: { grpc: { address: `127.0.0.1:${port}` } } });
    const context = { conversationId: "c-grpc", sessionId: "s-grpc", runId: "r-grpc" };
    await rpc(service.url, "ToolExecutor/ExecuteTool", { call: { id: "f", name: "far" }, context });
  }
  plugin.close();
  const [span] = otlp.spans().filter(({ name }) => name === "jackfield.v1.ToolPlugin/Execute");
  expect(span?.attributes).toMatchObject({
    "rpc.system.name": "grpc",
    "server.port": port,
    "gen_ai.tool.call.id": "f",
    "gen_ai.conversation.id": "c-grpc",
    "session.id": "s-grpc",
    "jackfield.run.id": "r-grpc",
  });
  expect(traces).toEqual([expect.stringContaining(`${span?.traceId}-${span?.spanId}`)]);
}, 60_000);

test("a busy model causes a log line with the conversation before each retry", async () => {
  await using otlp = await startOtlp();
  await using platform = await startReceiver(({ path }) => {
    if (path === "/oauth/token") return { body: { access_token: "t-0123456789", expires_in: 3600 } };
    const asked = platform.received.filter((request) => request.path.includes("conversations")).length;
    if (asked === 1) return { status: 429, headers: { "retry-after": "0" } };
    return { body: { choices: [{ message: { role: "assistant", content: "Good morning" } }] } };
  });
  {
    await using service = await startService({
      env: onPlatform(otlp.url, platform.url),
      plugins: [{ use: testTool("echo") }],
    });
    const client = createClient(Conversations, createConnectTransport({ baseUrl: service.url, httpVersion: "1.1" }));
    await Array.fromAsync(client.runConversation({ message: "Good morning", conversationId: "c-model" }));
    expect(logOf(service, "a request is repeated after a pause")).toMatchObject([
      { level: "warn", origin: platform.url, status: 429, attempt: 1, conversation: "c-model" },
    ]);
  }
  const port = Number(new URL(platform.url).port);
  const questions = otlp
    .spans()
    .filter(
      ({ attributes }) => attributes["server.port"] === port && attributes["gen_ai.conversation.id"] === "c-model",
    );
  expect(questions).toHaveLength(2);
}, 60_000);

/** The variables of a service with a platform and a collector. */
function onPlatform(collector: string, platform: string): Record<string, string> {
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector,
    GENESYS_API_BASE_URL: platform,
    GENESYS_CLIENT_ID: "i",
    GENESYS_CLIENT_SECRET: "geheim-geheim",
  };
}
