import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { JobState } from "../../../gen/jackfield/v1/jobs_pb.ts";
import { Outcome, ToolResultSchema } from "../../../gen/jackfield/v1/tool_pb.ts";
import { createMcpDoor, type McpDoorOptions } from "../../../src/adapters/mcp/door.ts";
import type { Peer } from "../../../src/adapters/mcp/peer.ts";
import { McpError, reserved } from "../../../src/adapters/mcp/protocol.ts";
import { keyedContext } from "../../../src/adapters/tool-call.ts";
import { localCaller } from "../../../src/auth/authenticator.ts";

// Calls of tools through MCP, with clients that record the requests.

const pendingText = "The request is still being processed. Do not repeat it.";

function result(outcome: Outcome, output = "done", change: { truncated?: boolean } = {}) {
  const error = outcome === Outcome.OK ? {} : { error: { message: output } };
  return create(ToolResultSchema, { callId: "k-1", name: "work", outcome, output, ...error, ...change });
}

interface Options extends Partial<McpDoorOptions> {
  /** What the services answer. */
  readonly answer?: object;
  /** The events of a call with progress. */
  readonly events?: readonly object[];
  /** Whether the client reads events. */
  readonly readsEvents?: boolean;
  readonly values?: Peer["values"];
}

function open({ answer = { result: result(Outcome.OK) }, events = [], readsEvents, values, ...options }: Options = {}) {
  const asked: { method: string; request: object; options: object }[] = [];
  const notified: object[] = [];
  const note = (method: string) => async (request: object, given: object) => {
    asked.push({ method, request, options: given });
    return method === "listTools" ? { tools: [{ name: "work", outputSchema: {} }], nextPageToken: "" } : answer;
  };
  const door = createMcpDoor({
    version: "1",
    instructions: "Ask first.",
    answerWithinMs: 1500,
    taskAfterMs: 100,
    pageSize: 10,
    listTtlMs: 5,
    maxOutput: 1000,
    taskTtlMs: 1000,
    stateSecret: async () => "secret",
    log: { error: () => undefined },
    missingScope: (scope) => new McpError(-1, scope),
    ...options,
  });
  const signal = AbortSignal.any([]);
  const peer = {
    caller: localCaller,
    clients: {
      executor: {
        executeTool: note("executeTool"),
        getCall: async (request: object, given: object) => {
          asked.push({ method: "getCall", request, options: given });
          throw new ConnectError("?", Code.NotFound);
        },
        listTools: note("listTools"),
        async *executeTools(request: object, given: object) {
          asked.push({ method: "executeTools", request, options: given });
          yield* events.map((event) => ({ event }));
        },
      },
      jobs: {
        async submitJob(request: { job: object }, given: object) {
          asked.push({ method: "submitJob", request, options: given });
          return { job: { ...request.job, source: localCaller.name } };
        },
        async getJob(request: { id: string }, given: object) {
          asked.push({ method: "getJob", request, options: given });
          const calls = [{ id: "k-1" }];
          const job = { ...request, source: localCaller.name, context: keyedContext(""), calls, results: [] };
          return { job: { ...job, state: JobState.ACCEPTED } };
        },
        cancelJob: note("cancelJob"),
      },
    },
    headers: undefined,
    values,
    signal,
    about: {},
    events:
      readsEvents === true ? { offer: (text: string) => notified.push(JSON.parse(text) as object) > 0 } : undefined,
  } as unknown as Peer;
  const send = async (method: string, params: object) =>
    JSON.parse((await door.handle({ jsonrpc: "2.0", id: 1, method, params }, peer))?.text ?? "") as {
      result?: Record<string, unknown>;
      error?: object;
    };
  const call = (params: object = {}) => send("tools/call", { name: "work", ...params });
  const modern = (params: object = {}, capabilities: object = {}) =>
    call({
      ...params,
      _meta: { [reserved.protocolVersion]: "2026-07-28", [reserved.clientCapabilities]: capabilities },
    });
  return { door, asked, notified, peer, signal, send, call, modern };
}

const own = { "jackfield/idempotencyKey": "k-1", "jackfield/conversationId": "c-1" };

describe("a call", () => {
  test("is executed with its id, conversation, arguments and deadline", async () => {
    const { call, asked, peer, signal } = open();
    await call({ arguments: { a: 1 }, _meta: own });
    expect(asked).toEqual([
      {
        method: "executeTool",
        request: {
          $typeName: "jackfield.v1.ExecuteToolRequest",
          call: {
            $typeName: "jackfield.v1.ToolCall",
            id: "k-1",
            name: "work",
            input: { case: "arguments", value: { a: 1 } },
          },
          context: keyedContext("c-1"),
          answerWithin: { $typeName: "google.protobuf.Duration", seconds: 1n, nanos: 500_000_000 },
        },
        options: { signal },
      },
    ]);
    expect(peer.about).toEqual({ call: "k-1", conversation: "c-1" });
  });

  test("has empty arguments, a random id and no conversation by default", async () => {
    const { call, asked, peer } = open();
    await call();
    expect(asked[0]?.request).toMatchObject({
      call: { input: { case: "arguments", value: {} } },
      context: keyedContext(""),
    });
    expect(peer.about).toEqual({ call: expect.stringMatching(/^[\w-]{22}$/) as string });
  });

  test("passes its trace on to the executor", async () => {
    const values = createContextValues();
    const { call, asked, signal } = open({ values });
    await call();
    expect(asked[0]?.options).toEqual({ signal, contextValues: values });
  });

  test("has the shorter deadline for a client that supports tasks", async () => {
    const { modern, asked } = open();
    await modern({}, { extensions: { [reserved.tasks]: {} } });
    await modern({}, { extensions: [] });
    await modern({}, { extensions: { [reserved.tasks]: true } });
    const waits = asked.map(({ request }) => (request as { answerWithin: object }).answerWithin);
    expect(waits).toMatchObject([
      { seconds: 0n, nanos: 100_000_000 },
      { seconds: 1n, nanos: 500_000_000 },
      { seconds: 1n, nanos: 500_000_000 },
    ]);
  });

  test.each([
    [{ name: 7 }, "params.name must be the name of a tool"],
    [{ arguments: [] }, "params.arguments must be an object"],
    [{ _meta: { "jackfield/idempotencyKey": "" } }, "Invalid idempotency key: expected 1 to 256 characters"],
    [{ _meta: { "jackfield/conversationId": 7 } }, "Invalid conversation id: expected 1 to 256 characters"],
    [{ requestState: "x" }, "Invalid requestState"],
  ])("%j is refused: %s", async (params, message) => {
    const { call, asked } = open();
    expect(await call(params)).toMatchObject({ error: { code: -32602, message } });
    expect(asked).toEqual([]);
  });

  test("of a modern client is refused without its version and capabilities", async () => {
    const { call } = open();
    const missing = async (meta: object) => (await call({ _meta: meta })).error;
    expect(await missing({ [reserved.protocolVersion]: "2026-07-28" })).toMatchObject({
      code: -32602,
      message: "params._meta must contain io.modelcontextprotocol/clientCapabilities",
    });
    expect(await missing({ [reserved.protocolVersion]: 7, [reserved.clientCapabilities]: {} })).toMatchObject({
      message: "params._meta must contain io.modelcontextprotocol/protocolVersion",
    });
    expect(await missing({ [reserved.protocolVersion]: 7 })).toMatchObject({
      message:
        "params._meta must contain io.modelcontextprotocol/protocolVersion and io.modelcontextprotocol/clientCapabilities",
    });
    expect(await missing({ [reserved.protocolVersion]: "1.0" })).toMatchObject({
      code: -32022,
      message: "Unsupported protocol version: 1.0",
      data: { requested: "1.0" },
    });
  });
});

describe("an answer", () => {
  test("reports unknown and denied tools alike", async () => {
    for (const outcome of [Outcome.UNKNOWN_TOOL, Outcome.DENIED]) {
      const { call } = open({ answer: { result: result(outcome, "secret") } });
      expect((await call()).error).toEqual({ code: -32602, message: "Unknown tool: work" });
    }
  });

  test("is an internal error if the executor returns no result", async () => {
    const { call } = open({ answer: {} });
    expect((await call()).error).toEqual({ code: -32603, message: "Internal error" });
  });

  test("needs the tool's schema only if its form depends on it", async () => {
    const plain = open();
    await plain.call();
    expect(plain.asked.map(({ method }) => method)).toEqual(["executeTool"]);
    const cut = open({ answer: { result: result(Outcome.OK, "12", { truncated: true }) } });
    expect((await cut.call()).result).toMatchObject({ isError: true });
    expect(cut.asked.map(({ method }) => method)).toEqual(["executeTool", "listTools"]);
  });

  test("lets a modern client wait eight times for a pending call, and an older one not", async () => {
    const { call, modern, asked } = open({ answer: { result: result(Outcome.PENDING, pendingText) } });
    expect((await call()).result).toMatchObject({ isError: true, content: [{ text: pendingText }] });
    let params = {};
    for (let round = 1; round < 8; round += 1) {
      const answer = (await modern(params)).result;
      expect(answer).toEqual({
        resultType: "input_required",
        requestState: expect.any(String) as string,
        _meta: { [reserved.serverInfo]: { name: "jackfield", title: "Jackfield", version: "1" } },
      });
      params = { requestState: answer?.["requestState"] };
    }
    expect((await modern(params)).result).toMatchObject({ resultType: "complete", isError: true });
    const ids = asked.slice(1).map(({ request }) => (request as { call: { id: string } }).call.id);
    expect(new Set(ids).size).toBe(1);
  });

  test("is the pending sentence if no state can be signed", async () => {
    const stateSecret = () => Promise.reject(new ConnectError("away", Code.Unavailable));
    const { modern } = open({ answer: { result: result(Outcome.PENDING, pendingText) }, stateSecret });
    expect((await modern()).result).toMatchObject({ isError: true, content: [{ text: pendingText }] });
  });
});

describe("progress", () => {
  const report = (fraction: number, message = "") => ({ case: "progress", value: { fraction, message } });
  const ended = { case: "result", value: result(Outcome.OK) };

  test("rises with each report, and has the message of the tool", async () => {
    const events = [report(0.5, "half"), report(0.2), report(-1), ended, report(0.9)];
    const values = createContextValues();
    const { call, notified, asked, signal } = open({ events, readsEvents: true, values });
    const { result: answer } = await call({ arguments: { a: 1 }, _meta: { progressToken: 0, ...own } });
    expect(answer).toMatchObject({ content: [{ text: "done" }] });
    const params = notified.map((message) => (message as { params: Record<string, unknown> }).params);
    expect(params).toEqual([
      { progressToken: 0, progress: 0.5, total: 1, message: "half" },
      { progressToken: 0, progress: expect.closeTo(0.501, 6) as number, total: 1 },
      { progressToken: 0, progress: expect.closeTo(0.502, 6) as number, total: 1 },
      { progressToken: 0, progress: 0.9, total: 1 },
    ]);
    expect(notified[0]).toMatchObject({ jsonrpc: "2.0", method: "notifications/progress" });
    expect(asked).toEqual([
      {
        method: "executeTools",
        request: {
          calls: [expect.objectContaining({ id: "k-1", name: "work" }) as object],
          context: keyedContext("c-1"),
          answerWithin: { $typeName: "google.protobuf.Duration", seconds: 1n, nanos: 500_000_000 },
        },
        options: { signal, contextValues: values },
      },
    ]);
  });

  test("is never below zero", async () => {
    const { call, notified, asked, signal } = open({ events: [report(-1), report(0), ended], readsEvents: true });
    await call({ _meta: { progressToken: "t" } });
    expect(notified).toMatchObject([{ params: { progress: 0 } }, { params: { progress: 0.001 } }]);
    expect(asked[0]?.options).toEqual({ signal });
  });

  test("needs a valid token and a client that reads events", async () => {
    for (const [readsEvents, progressToken] of [
      [true, undefined],
      [true, {}],
      [false, "t"],
      [false, 1],
    ] as const) {
      const { call, asked } = open({ readsEvents });
      await call({ _meta: { progressToken } });
      expect(asked.map(({ method }) => method)).toEqual(["executeTool"]);
    }
  });

  test("without a result at the end is an internal error", async () => {
    const { call } = open({ events: [report(0.5)], readsEvents: true });
    expect((await call({ _meta: { progressToken: 1 } })).error).toEqual({ code: -32603, message: "Internal error" });
  });
});

describe("a task", () => {
  const tasks = { extensions: { [reserved.tasks]: {} } };
  const meta = { [reserved.protocolVersion]: "2026-07-28", [reserved.clientCapabilities]: tasks };

  test("is created for a pending call of a client that supports tasks", async () => {
    const { modern, asked } = open({ answer: { result: result(Outcome.PENDING, pendingText) } });
    expect((await modern({}, tasks)).result).toMatchObject({ resultType: "task", status: "working" });
    expect(asked.map(({ method, options }) => [method, options])).toMatchObject([
      ["executeTool", {}],
      ["submitJob", undefined],
    ]);
    const quick = open();
    expect((await quick.modern({}, tasks)).result).toMatchObject({ resultType: "complete" });
    expect(quick.asked).toHaveLength(1);
  });

  test("passes the trace of each request on", async () => {
    const values = createContextValues();
    const { modern, send, asked } = open({ answer: { result: result(Outcome.PENDING, pendingText) }, values });
    await modern({}, tasks);
    for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
      expect((await send(method, { taskId: "t", _meta: meta })).result).toMatchObject({ resultType: "complete" });
    }
    const traced = asked.filter(({ method }) => method.endsWith("Job"));
    expect(traced.map(({ method }) => method)).toEqual(["submitJob", "getJob", "getJob", "getJob", "cancelJob"]);
    for (const { options } of traced) expect(options).toEqual({ contextValues: values });
    const without = open();
    for (const method of ["tasks/get", "tasks/cancel"]) await without.send(method, { taskId: "t", _meta: meta });
    expect(new Set(without.asked.map(({ options }) => options))).toEqual(new Set([undefined]));
  });

  test("acknowledges updates and cancellations", async () => {
    const { send } = open();
    const done = {
      resultType: "complete",
      _meta: { [reserved.serverInfo]: { name: "jackfield", title: "Jackfield", version: "1" } },
    };
    for (const method of ["tasks/update", "tasks/cancel"]) {
      expect((await send(method, { taskId: "t", _meta: meta })).result).toEqual(done);
    }
  });
});

test("only calls of tools need the list of tools", async () => {
  const { door, asked, peer } = open();
  const handle = (method: string, params: object, headers: object) => {
    const _meta = { [reserved.protocolVersion]: "2026-07-28", [reserved.clientCapabilities]: {} };
    const body = { jsonrpc: "2.0", id: 1, method, params: { ...params, _meta } };
    const always = { "mcp-protocol-version": "2026-07-28", "mcp-method": method };
    return door.handle(body, { ...peer, headers: { ...always, ...headers } });
  };
  expect(await handle("server/discover", {}, {})).toMatchObject({ status: 200 });
  expect(asked).toEqual([]);
  expect(await handle("tools/call", { name: "work" }, { "mcp-name": "work" })).toMatchObject({ status: 200 });
  expect(asked.map(({ method }) => method)).toEqual(["listTools", "executeTool"]);
});

test("the handshake contains the instructions", async () => {
  const { send } = open();
  expect((await send("initialize", { protocolVersion: 7 })).result).toEqual({
    protocolVersion: "2025-11-25",
    capabilities: { tools: {} },
    serverInfo: { name: "jackfield", title: "Jackfield", version: "1" },
    instructions: "Ask first.",
  });
});
