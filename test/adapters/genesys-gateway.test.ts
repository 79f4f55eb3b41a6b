import { once } from "node:events";
import * as http from "node:http";
import * as http2 from "node:http2";
import * as net from "node:net";
import { EventSourceParserStream } from "eventsource-parser/stream";
import { describe, expect, test } from "vitest";
import { Code, ConnectError } from "@connectrpc/connect";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { createGenesysAdapter } from "../../src/adapters/genesys/index.ts";
import { Secret } from "../../src/secret.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { Ended, stand, type StandOptions, type StandTool } from "./stand.ts";

const path = "/llm-gateway/tools";
const usual: Record<string, StandTool> = {
  echo: (args) => args,
  text: () => "plain text",
  fail: () => {
    throw new Ended(Outcome.FAILED, "External API returned 500: down");
  },
  picky: () => {
    throw new Ended(Outcome.INVALID_ARGUMENTS, "wrong", [
      { path: "/sku", message: 'must match pattern "^[A-Z]+$"' },
      { path: "", message: "must NOT have additional properties: 'x'" },
    ]);
  },
};

function gateway(options: Partial<StandOptions> & { key?: string; answerWithinMs?: number } = {}) {
  const { key, answerWithinMs = 55_000 } = options;
  const webhookKey = key === undefined ? undefined : new Secret(key);
  const settings = { answerWithinMs, webhookKey, sanitize: "text", maxOutput: 65_536 } as const;
  const adapter = createGenesysAdapter({ settings, callsPerRequest: 64, canDeliver: true });
  return stand({ tools: usual, ...options, adapter });
}

const call = (id: string, name: string, input: unknown = "{}") => ({ id, function: { name, arguments: input } });

interface Event {
  readonly event: string | undefined;
  readonly data: {
    tool_results?: { id: string; function: { name: string; output: string } }[];
    [key: string]: unknown;
  };
}

function eventsOf(response: Response): ReadableStreamDefaultReader<{ event?: string | undefined; data: string }> {
  return response.body!.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream()).getReader();
}

async function readAll(response: Response): Promise<Event[]> {
  const reader = eventsOf(response);
  const events: Event[] = [];
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    events.push({ event: next.value.event, data: JSON.parse(next.value.data) as Event["data"] });
  }
  return events;
}

async function outputs(response: Response): Promise<string[]> {
  const last = (await readAll(response)).at(-1);
  expect(last?.event).toBe("tool_result");
  return last!.data.tool_results!.map((result) => result.function.output);
}

describe("payloads of the LLM Gateway's webhook", () => {
  testRequirement(["000.1", "000.4"], "accepts arguments as text or object", async () => {
    await using app = await gateway();
    const body = {
      tool_calls: [call("a", "echo", '{"x":1}'), call("b", "echo", { x: 2 })],
      conversation_id: "c",
      session_id: "s",
    };
    expect(await outputs(await app.post(path, body))).toEqual(['{"x":1}', '{"x":2}']);
  });

  testRequirement("000.2", "refuses tool_calls that are missing, not an array or empty", async () => {
    await using app = await gateway();
    for (const body of [
      {},
      { tool_calls: {} },
      { tool_calls: [] },
      { tool_calls: null },
      { tool_calls: "x" },
      [],
      null,
      1,
    ]) {
      const response = await app.post(path, body);
      expect(response.status).toBe(400);
      expect(await response.text()).toBe('{"error":"Missing or invalid tool_calls array"}');
    }
  });

  testRequirement(
    "000.3",
    "refuses a request with a call without id, name or arguments before any tool runs",
    async () => {
      await using app = await gateway();
      const bad = [
        null,
        "x",
        [],
        {},
        { id: "a" },
        { id: "a", function: null },
        { function: { name: "echo", arguments: "{}" } },
        { id: "", function: { name: "echo", arguments: "{}" } },
        { id: 7, function: { name: "echo", arguments: "{}" } },
        { id: "x".repeat(257), function: { name: "echo", arguments: "{}" } },
        { id: "a", function: { arguments: "{}" } },
        { id: "a", function: { name: "", arguments: "{}" } },
        { id: "a", function: { name: "echo" } },
        { id: "a", function: { name: "echo", arguments: null } },
        { id: "a", function: { name: "echo", arguments: 5 } },
      ];
      for (const entry of bad) {
        const response = await app.post(path, { tool_calls: [call("good", "echo"), entry] });
        expect([response.status, await response.text()]).toEqual([
          400,
          '{"error":"Invalid tool call schema: missing id, name, or arguments"}',
        ]);
      }
      expect(app.seen).toEqual([]);
      const empty = await app.post(path, { tool_calls: [call("😀".repeat(256), "echo", "")] });
      expect(await outputs(empty)).toEqual(["{}"]);
    },
  );

  test("refuses too many calls, and invalid conversation ids, with a message", async () => {
    await using app = await gateway();
    const many = await app.post(path, { tool_calls: Array.from({ length: 65 }, (_, n) => call(`${n}`, "echo")) });
    expect([many.status, await many.text()]).toEqual([
      400,
      '{"error":"Too many tool calls: a request may hold at most 64, this one holds 65"}',
    ]);
    const odd = await app.post(path, { tool_calls: [call("a", "echo")], conversation_id: 5 });
    expect([odd.status, await odd.text()]).toEqual([
      400,
      '{"error":"Invalid conversation_id: expected a string of at most 256 characters"}',
    ]);
  });

  test("answers bodies that are not JSON in the adapter's error format", async () => {
    await using app = await gateway();
    const broken = await app.post(path, "{");
    expect([broken.status, await broken.text()]).toEqual([400, '{"error":"The request body is not valid JSON"}']);
    const typed = await app.post(path, "{}", { "content-type": "text/plain" });
    expect([typed.status, await typed.text()]).toEqual([415, '{"error":"Content-Type must be application/json"}']);
    const large = await app.post(path, `{"x":"${"y".repeat(1_048_576)}"}`);
    expect([large.status, await large.text()]).toEqual([413, '{"error":"The request body is too large"}']);
  });

  test("accepts the shared secret in either header, once, and reads nothing without it", async () => {
    await using app = await gateway({ key: "right" });
    const body = { tool_calls: [call("a", "echo")] };
    const tries: [Record<string, string>, number][] = [
      [{}, 401],
      [{ "x-api-key": "wrong" }, 401],
      [{ "x-api-key": "righ" }, 401],
      [{ "x-api-key": "right, right" }, 401],
      [{ authorization: "right" }, 401],
      [{ authorization: "Basic right" }, 401],
      [{ authorization: "Bearer wrong" }, 401],
      [{ "x-api-key": "right" }, 200],
      [{ authorization: "Bearer right" }, 200],
      [{ authorization: "bearer right" }, 200],
    ];
    for (const [headers, status] of tries) {
      const response = await app.post(path, body, headers);
      expect([headers, response.status]).toEqual([headers, status]);
      const text = await response.text();
      if (status === 401) expect(text).toBe('{"error":"Invalid or missing webhook key."}');
    }
    const unread = await app.post(path, "{ not json");
    expect(unread.status).toBe(401);
    expect(await raw(app.port, "X-Api-Key: right\r\nX-Api-Key: right\r\n")).toContain("HTTP/1.1 401");
    expect(await raw(app.port, "Authorization: Bearer right\r\nAuthorization: Bearer right\r\n")).toContain(
      "HTTP/1.1 401",
    );
  });
});

async function raw(port: number, headers: string): Promise<string> {
  const socket = net.connect(port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const head = `Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n${headers}\r\n{}`;
  socket.write(`POST ${path} HTTP/1.1\r\n${head}`);
  await once(socket, "close");
  return text;
}

describe("the answer that the model reads", () => {
  testRequirement("000.5", "fails only the call of an unknown tool, whatever its name", async () => {
    await using app = await gateway();
    const names = ["nope", "constructor", "toString", "hasOwnProperty", "../x", "a b", "名", "x".repeat(129)];
    const tool_calls = [...names.map((name, n) => call(`${n}`, name)), call("good", "echo", '{"x":1}')];
    expect(await outputs(await app.post(path, { tool_calls }))).toEqual([
      ...names.map((name) => JSON.stringify({ error: `Unknown tool: ${name}` })),
      '{"x":1}',
    ]);
  });

  testRequirement("000.6", "fails only the call whose arguments are not JSON", async () => {
    await using app = await gateway();
    const tool_calls = [call("a", "echo", "{not json"), call("b", "echo")];
    expect(await outputs(await app.post(path, { tool_calls }))).toEqual([
      '{"error":"Invalid JSON in arguments for echo"}',
      "{}",
    ]);
  });

  testRequirement("000.7", "contains a failing tool's message as output, with results in request order", async () => {
    await using app = await gateway({
      tools: { ...usual, late: () => new Promise((resolve) => setTimeout(resolve, 30, { late: true })) },
    });
    const tool_calls = [
      call("1", "late"),
      call("2", "fail"),
      call("3", "text"),
      call("4", "picky"),
      call("5", "echo", "[]"),
    ];
    const events = await readAll(await app.post(path, { tool_calls }));
    expect(events.at(-1)?.data.tool_results).toEqual([
      { id: "1", function: { name: "late", output: '{"late":true}' } },
      { id: "2", function: { name: "fail", output: '{"error":"External API returned 500: down"}' } },
      { id: "3", function: { name: "text", output: '"plain text"' } },
      {
        id: "4",
        function: {
          name: "picky",
          output: JSON.stringify({
            error: `Schema validation failed for picky: /sku: must match pattern "^[A-Z]+$", : must NOT have additional properties: 'x'`,
          }),
        },
      },
      {
        id: "5",
        function: { name: "echo", output: '{"error":"Schema validation failed for echo: : must be object"}' },
      },
    ]);
    expect(events.filter(({ event }) => event === "tool_progress")).toHaveLength(5);
  });

  test("contains the sentence for running work if a call outlives the answer deadline", async () => {
    await using app = await gateway({ answerWithinMs: 60, tools: { ...usual, hang: () => new Promise(() => {}) } });
    const tool_calls = [call("1", "hang"), call("2", "echo")];
    expect(await outputs(await app.post(path, { tool_calls }))).toEqual([
      '{"error":"Tool execution timed out or failed. Please retry."}',
      "{}",
    ]);
  });
});

describe("the stream", () => {
  testRequirement("000.8", "has the headers, an event for each ended call, then one result and the end", async () => {
    await using app = await gateway();
    const response = await app.post(path, { tool_calls: [call("a", "echo"), call("b", "fail")] });
    expect(response.status).toBe(200);
    expect(
      Object.fromEntries(
        ["content-type", "cache-control", "connection", "x-accel-buffering"].map((name) => [
          name,
          response.headers.get(name),
        ]),
      ),
    ).toEqual({
      "content-type": "text/event-stream",
      "cache-control": "no-cache",
      connection: "keep-alive",
      "x-accel-buffering": "no",
    });
    const text = await response.text();
    expect(text).toMatch(/^event: tool_progress\ndata: \{"step":1,"total":2,"status":"completed"/);
    expect(text).toContain('\n\nevent: tool_progress\ndata: {"step":2,"total":2,"status":"completed"');
    expect(text.endsWith("\n\n")).toBe(true);
    expect(text.match(/event: tool_result\ndata: (.*)\n\n$/)?.[1]).toBe(
      '{"tool_results":[{"id":"a","function":{"name":"echo","output":"{}"}},' +
        '{"id":"b","function":{"name":"fail","output":"{\\"error\\":\\"External API returned 500: down\\"}"}}]}',
    );
  });

  testRequirement("000.8", "closes the connection afterwards if the client asked for it", async () => {
    await using app = await gateway();
    const request = http.request(`${app.url}${path}`, {
      method: "POST",
      agent: false,
      headers: { "content-type": "application/json", connection: "close" },
    });
    request.end(JSON.stringify({ tool_calls: [call("a", "echo")] }));
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    expect(response.headers.connection).toBe("close");
    const closed = once(response.socket, "close");
    response.resume();
    await closed;
  });

  testRequirement("000.8", "is the same over HTTP/2 without a connection header", async () => {
    await using app = await gateway();
    const session = http2.connect(app.url);
    const stream = session.request({ ":method": "POST", ":path": path, "content-type": "application/json" });
    stream.end(JSON.stringify({ tool_calls: [call("a", "echo")] }));
    const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
    let text = "";
    for await (const chunk of stream) text += String(chunk);
    session.close();
    expect(headers[":status"]).toBe(200);
    expect(headers["content-type"]).toBe("text/event-stream");
    expect(headers.connection).toBeUndefined();
    expect(text).toContain("event: tool_result\n");
  });

  testRequirement(
    ["000.8", "000.9"],
    "contains progress while others still run, and a tool's own reports",
    async () => {
      const release = Promise.withResolvers<void>();
      await using app = await gateway({
        tools: {
          ...usual,
          slow: async (_args, { report }) => {
            report("half way", 0.5);
            await release.promise;
            return { done: true };
          },
        },
      });
      const reader = eventsOf(await app.post(path, { tool_calls: [call("s", "slow"), call("f", "echo")] }));
      const early = [await reader.read(), await reader.read()].map(
        (next) => JSON.parse(next.value!.data) as Record<string, unknown>,
      );
      expect(early).toContainEqual(expect.objectContaining({ step: 1, total: 2, status: "completed", id: "f" }));
      expect(early).toContainEqual(
        expect.objectContaining({ total: 2, status: "running", message: "half way", fraction: 0.5 }),
      );
      release.resolve();
      const rest = [await reader.read(), await reader.read()];
      expect(rest.map((next) => next.value?.event)).toEqual(["tool_progress", "tool_result"]);
      expect((await reader.read()).done).toBe(true);
    },
  );

  testRequirement("000.9", "stays open with comment lines while idle", async () => {
    const release = Promise.withResolvers<void>();
    await using app = await gateway({
      times: { commentEveryMs: 5, openAfterMs: 1 },
      tools: { slow: () => release.promise.then(() => ({})) },
    });
    const response = await app.post(path, { tool_calls: [call("s", "slow")] });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes(":\n\n:\n\n")) text += (await reader.read()).value ?? "";
    release.resolve();
    for (let next = await reader.read(); !next.done; next = await reader.read()) text += next.value;
    expect(text).toContain("event: tool_result");
  });

  testRequirement("000.10", "passes conversation and session to the call, and a batch has one trace id", async () => {
    await using app = await gateway();
    const body = {
      tool_calls: [call("a", "echo"), call("b", "echo")],
      conversation_id: "conv\r\n1",
      session_id: "sess",
    };
    await (await app.post(path, body)).text();
    expect(app.seen.map(({ context }) => [context?.conversationId, context?.sessionId])).toEqual([
      ["conv\r\n1", "sess"],
      ["conv\r\n1", "sess"],
    ]);
    const [first, second] = app.seen;
    expect(first?.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(second?.traceId).toBe(first?.traceId);
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await (await app.post(path, body, { traceparent })).text();
    expect(app.seen.at(-1)?.traceId).toBe("0af7651916cd43dd8448eb211c80319c");
  });

  testRequirement("000.15", "answers an error before its start with a 500 that reveals nothing", async () => {
    await using app = await gateway({
      tools: {
        boom: () => {
          throw new Error("the password is hunter2");
        },
      },
    });
    const response = await app.post(path, { tool_calls: [call("a", "boom")] });
    expect([response.status, await response.text()]).toEqual([
      500,
      '{"error":"Internal server error during tool ingestion"}',
    ]);
  });

  test("answers 503 with Retry-After while the service shuts down", async () => {
    await using app = await gateway({
      tools: {
        down: () => {
          throw new ConnectError("the service is shutting down", Code.Unavailable);
        },
      },
    });
    const response = await app.post(path, { tool_calls: [call("a", "down")] });
    expect([response.status, response.headers.get("retry-after"), await response.text()]).toEqual([
      503,
      "1",
      '{"error":"the service is shutting down"}',
    ]);
  });

  const notExecuted = '{"error":"Tool execution timed out or failed. Please retry."}';

  test("reports the known state of each call of an interrupted batch: a call that was not executed can be retried", async () => {
    const fail = Promise.withResolvers<never>();
    fail.promise.catch(() => {});
    const release = Promise.withResolvers<void>();
    const slow: StandTool = () => release.promise.then(() => ({}));
    await using app = await gateway({ tools: { ...usual, slow, breaks: () => fail.promise } });
    const response = await app.post(path, {
      tool_calls: [call("a", "breaks"), call("b", "echo"), call("c", "slow")],
    });
    fail.reject(new Error("gone"));
    expect(await outputs(response)).toEqual([
      notExecuted,
      "{}",
      '{"error":"The request is still being processed. Do not repeat it."}',
    ]);
    release.resolve();
    expect(app.log.join("")).toContain("batch interrupted");
  });

  test("makes nothing uncertain when the store fails in the middle of a batch", async () => {
    const fail = Promise.withResolvers<never>();
    fail.promise.catch(() => {});
    await using app = await gateway({ times: { openAfterMs: 1 }, tools: { ...usual, down: () => fail.promise } });
    const response = await app.post(path, { tool_calls: [call("a", "down")] });
    app.failLookUps(new ConnectError("the store cannot be reached", Code.Unavailable));
    fail.reject(new ConnectError("the store cannot be reached; nothing has been executed", Code.Unavailable));
    expect(await outputs(response)).toEqual([notExecuted]);
  });

  test("reports a call as uncertain if its state cannot be determined", async () => {
    const fail = Promise.withResolvers<never>();
    fail.promise.catch(() => {});
    await using app = await gateway({ times: { openAfterMs: 1 }, tools: { ...usual, breaks: () => fail.promise } });
    const response = await app.post(path, { tool_calls: [call("a", "breaks")] });
    app.failLookUps(new Error("gone too"));
    fail.reject(new Error("gone"));
    expect(await outputs(response)).toEqual([
      '{"error":"It is not known whether this request took effect. Do not repeat it; check first."}',
    ]);
  });

  test("cancels the batch of a client that disconnects", async () => {
    const cancelled = Promise.withResolvers<void>();
    await using app = await gateway({
      times: { openAfterMs: 1 },
      tools: {
        hang: (_args, { signal }) => new Promise(() => signal.addEventListener("abort", () => cancelled.resolve())),
      },
    });
    const client = new AbortController();
    await fetch(app.url + path, {
      method: "POST",
      body: JSON.stringify({ tool_calls: [call("a", "hang")] }),
      headers: { "content-type": "application/json" },
      signal: client.signal,
    });
    client.abort();
    await cancelled.promise;
  });

  test("closes the stream of a client that never reads at the deadline, and drops its progress until then", async () => {
    const report = "x".repeat(200_000);
    const cut = Promise.withResolvers<void>();
    let reports = 0;
    await using app = await gateway({
      answerWithinMs: 60_000,
      times: { openAfterMs: 1, lingerMs: -59_500 },
      tools: {
        chatty: async (_args, about) => {
          about.signal.addEventListener("abort", () => cut.resolve());
          while (!about.signal.aborted) {
            for (let n = 0; n < 5; n += 1) about.report(report, 0.5);
            reports += 5;
            await new Promise((resolve) => setTimeout(resolve, 1));
          }
          return {};
        },
      },
    });
    const socket = net.connect({ port: app.port, host: "127.0.0.1" });
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => {});
    let received = 0;
    const body = JSON.stringify({ tool_calls: [call("a", "chatty")] });
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    socket.pause();
    await cut.promise;
    socket.on("data", (chunk: Buffer) => (received += chunk.length));
    socket.resume();
    await closed;
    expect(reports).toBeGreaterThan(100);
    expect(received).toBeLessThan((reports * report.length) / 2);
  });
});
