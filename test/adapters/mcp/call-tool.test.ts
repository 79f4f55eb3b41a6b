import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Outcome } from "../../../gen/jackfield/v1/tool_pb.ts";
import { reserved } from "../../../src/adapters/mcp/protocol.ts";
import { keyedContext } from "../../../src/adapters/tool-call.ts";
import { open, result } from "./recording-clients.ts";

// Calls of tools through MCP, with clients that record the requests.

const pendingText = "The request is still being processed. Do not repeat it.";

const own = { "jackfield/idempotencyKey": "k-1", "jackfield/conversationId": "c-1" };

describe("a call", () => {
  test("is executed with its id, conversation, arguments and deadline", async () => {
    const { call, requests, peer, signal } = open();
    await call({ arguments: { a: 1 }, _meta: own });
    expect(requests).toEqual([
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
    const { call, requests, peer } = open();
    await call();
    expect(requests[0]?.request).toMatchObject({
      call: { input: { case: "arguments", value: {} } },
      context: keyedContext(""),
    });
    expect(peer.about).toEqual({ call: expect.stringMatching(/^[\w-]{22}$/) as string });
  });

  test("passes its trace on to the executor", async () => {
    const values = createContextValues();
    const { call, requests, signal } = open({ values });
    await call();
    expect(requests[0]?.options).toEqual({ signal, contextValues: values });
  });

  test("has the shorter deadline for a client that supports tasks", async () => {
    const { modern, requests } = open();
    await modern({}, { extensions: { [reserved.tasks]: {} } });
    await modern({}, { extensions: [] });
    await modern({}, { extensions: { [reserved.tasks]: true } });
    const waits = requests.map(({ request }) => (request as { answerWithin: object }).answerWithin);
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
    const { call, requests } = open();
    expect(await call(params)).toMatchObject({ error: { code: -32602, message } });
    expect(requests).toEqual([]);
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
    expect(plain.requests.map(({ method }) => method)).toEqual(["executeTool"]);
    const cut = open({ answer: { result: result(Outcome.OK, "12", { truncated: true }) } });
    expect((await cut.call()).result).toMatchObject({ isError: true });
    expect(cut.requests.map(({ method }) => method)).toEqual(["executeTool", "listTools"]);
  });

  test("lets a modern client wait eight times for a pending call, and an older one not", async () => {
    const { call, modern, requests } = open({ answer: { result: result(Outcome.PENDING, pendingText) } });
    expect((await call()).result).toMatchObject({ isError: true, content: [{ text: pendingText }] });
    let params = {};
    for (let round = 1; round < 8; round += 1) {
      const answer = (await modern(params)).result;
      expect(answer).toEqual({
        resultType: "input_required",
        requestState: expect.any(String) as string,
        _meta: {
          "jackfield/callId": expect.any(String) as string,
          [reserved.serverInfo]: { name: "jackfield", title: "Jackfield", version: "1" },
        },
      });
      params = { requestState: answer?.["requestState"] };
    }
    expect((await modern(params)).result).toMatchObject({ resultType: "complete", isError: true });
    const ids = requests.slice(1).map(({ request }) => (request as { call: { id: string } }).call.id);
    expect(new Set(ids).size).toBe(1);
  });

  test("is the pending sentence if no state can be signed", async () => {
    const stateSecret = () => Promise.reject(new ConnectError("away", Code.Unavailable));
    const { modern } = open({ answer: { result: result(Outcome.PENDING, pendingText) }, stateSecret });
    expect((await modern()).result).toMatchObject({ isError: true, content: [{ text: pendingText }] });
  });
});

test("only calls of tools need the list of tools", async () => {
  const { door, requests, peer } = open();
  const handle = (method: string, params: object, headers: object) => {
    const _meta = { [reserved.protocolVersion]: "2026-07-28", [reserved.clientCapabilities]: {} };
    const body = { jsonrpc: "2.0", id: 1, method, params: { ...params, _meta } };
    const always = { "mcp-protocol-version": "2026-07-28", "mcp-method": method };
    return door.handle(body, { ...peer, headers: { ...always, ...headers } });
  };
  expect(await handle("server/discover", {}, {})).toMatchObject({ status: 200 });
  expect(requests).toEqual([]);
  expect(await handle("tools/call", { name: "work" }, { "mcp-name": "work" })).toMatchObject({ status: 200 });
  expect(requests.map(({ method }) => method)).toEqual(["listTools", "executeTool"]);
});

test("discovery contains the instructions", async () => {
  const _meta = { [reserved.protocolVersion]: "2026-07-28", [reserved.clientCapabilities]: {} };
  const discovered = async (options: Parameters<typeof open>[0]) =>
    (await open(options).send("server/discover", { _meta })).result;
  const result = await discovered({});
  expect(result).toMatchObject({ resultType: "complete", ttlMs: 5, instructions: "Ask first." });
  const { instructions: _, ...others } = result as Record<string, unknown>;
  expect(await discovered({ instructions: "" })).toEqual(others);
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
