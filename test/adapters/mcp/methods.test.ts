import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ServiceUnderTest } from "../../support/service.ts";
import { answered, messagesOf, modern, older, post } from "./mcp-client.ts";
import { startMcpService } from "./mcp-service.ts";

// The answers of the methods to clients of both eras.

let service: ServiceUnderTest;
let url: string;

beforeAll(async () => {
  service = await startMcpService();
  ({ url } = service);
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

const key = "crm-key";

describe("the methods", () => {
  test("discovery and the handshake return versions, capabilities and instructions", async () => {
    const { body } = await modern(url, "server/discover", {}, { key });
    expect(body.result).toMatchObject({
      resultType: "complete",
      supportedVersions: ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"],
      capabilities: { tools: { listChanged: true }, extensions: { "io.modelcontextprotocol/tasks": {} } },
      instructions: "Ask first.",
      ttlMs: 60_000,
      cacheScope: "private",
      _meta: { "io.modelcontextprotocol/serverInfo": { name: "jackfield" } },
    });
    for (const [asked, agreed] of [
      ["2024-11-05", "2024-11-05"],
      ["2025-03-26", "2025-03-26"],
      ["2026-07-28", "2025-11-25"],
      ["1.0", "2025-11-25"],
    ]) {
      const handshake = await older(url, "initialize", { protocolVersion: asked }, { key });
      expect(handshake.body.result).toMatchObject({ protocolVersion: agreed, capabilities: { tools: {} } });
      expect(handshake.body.result).not.toHaveProperty("resultType");
      expect(handshake.headers.get("mcp-session-id")).toBeNull();
    }
  });

  test("unknown methods are 404 for modern clients and 200 for older ones", async () => {
    const sent = await modern(url, "prompts/list", {}, { key });
    expect([sent.status, sent.body.error?.code]).toEqual([404, -32601]);
    const old = await older(url, "server/discover", {}, { key });
    expect([old.status, old.body.error?.code]).toEqual([200, -32601]);
    expect((await modern(url, "ping", {}, { key })).status).toBe(404);
  });

  test("lists are paged by name, and contain the caller's own tools", async () => {
    const first = await modern(url, "tools/list", {}, { key });
    expect(first.body.result).toMatchObject({
      tools: [{ name: "echo" }, { name: "nap" }],
      nextCursor: "nap",
      ttlMs: 60_000,
    });
    const second = await modern(url, "tools/list", { cursor: "nap" }, { key });
    expect(second.body.result).toMatchObject({ tools: [{ name: "odd" }] });
    expect(second.body.result).not.toHaveProperty("nextCursor");
    for (const cursor of ["nothing", "", 7]) {
      const wrong = await older(url, "tools/list", { cursor }, { key });
      expect(wrong.body.error).toEqual({ code: -32602, message: "Invalid cursor" });
    }
    const narrow = await older(url, "tools/list", {}, { key: "narrow-key" });
    expect(narrow.body.result?.["tools"]).toEqual([
      {
        name: "echo",
        description: "Says what it was given.",
        inputSchema: { type: "object", properties: {} },
        annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true },
      },
    ]);
    for (const name of ["nap", "nothing"]) {
      const hidden = await older(url, "tools/call", { name, arguments: { ms: 1 } }, { key: "narrow-key" });
      expect(hidden.body.error).toEqual({ code: -32602, message: `Unknown tool: ${name}` });
    }
  });

  test("a call returns text, structured content and metadata", async () => {
    const params = { name: "echo", arguments: { a: [1] } };
    const sent = await modern(url, "tools/call", params, {
      key,
      headers: { "jackfield-conversation-id": "c-1" },
      meta: { "jackfield/idempotencyKey": "k-1" },
    });
    const value = { args: { a: [1] }, conversation: "c-1", session: null, source: "crm" };
    expect(sent.body.result).toEqual({
      content: [{ type: "text", text: JSON.stringify(value) }],
      structuredContent: value,
      resultType: "complete",
      _meta: {
        "jackfield/callId": "k-1",
        "jackfield/outcome": "OK",
        "jackfield/replayed": false,
        "io.modelcontextprotocol/serverInfo": { name: "jackfield", title: "Jackfield", version: expect.any(String) },
      },
    });
    const again = await older(url, "tools/call", params, { key, headers: { "idempotency-key": "k-1" } });
    expect(again.body.result).toMatchObject({ structuredContent: value, _meta: { "jackfield/replayed": true } });
    const other = await older(
      url,
      "tools/call",
      { name: "echo", arguments: {} },
      { key, headers: { "idempotency-key": "k-1" } },
    );
    expect(other.body.result).toMatchObject({
      content: [{ text: "This call id was already used with other arguments." }],
      isError: true,
      _meta: { "jackfield/outcome": "CONFLICT" },
    });
    const stranger = await older(url, "tools/call", params, { key: "run-key", headers: { "idempotency-key": "k-1" } });
    expect(stranger.body.result).toMatchObject({ _meta: { "jackfield/replayed": false } });
  });

  test("templates that were not filled in count as absent; an invalid key is reported", async () => {
    for (const template of ["${input.id}", "$!{id}", "{{input.id}}", ""]) {
      const headers = { "idempotency-key": template, "jackfield-conversation-id": template };
      const { body } = await older(url, "tools/call", { name: "echo" }, { key, headers });
      expect(body.result).toMatchObject({ structuredContent: { conversation: null } });
      expect(body.result?._meta?.["jackfield/callId"]).toMatch(/^[\w-]{22}$/);
    }
    for (const bad of ["x".repeat(257), 5, ""]) {
      const { body } = await older(
        url,
        "tools/call",
        { name: "echo" },
        { key, meta: { "jackfield/idempotencyKey": bad } },
      );
      expect(body.error?.message).toBe("Invalid idempotency key: expected 1 to 256 characters");
    }
    const id = "\u{1f600}".repeat(256);
    const { body } = await older(
      url,
      "tools/call",
      { name: "echo" },
      { key, meta: { "jackfield/idempotencyKey": id } },
    );
    expect(body.result?._meta?.["jackfield/callId"]).toBe(id);
  });

  test("invalid arguments are reported to the model; arguments that are not an object are not", async () => {
    const wrong = await modern(url, "tools/call", { name: "nap", arguments: { ms: "soon" } }, { key });
    expect(wrong.body.result).toMatchObject({ isError: true, _meta: { "jackfield/outcome": "INVALID_ARGUMENTS" } });
    for (const args of [[], "{}", null, 7]) {
      const { body } = await modern(url, "tools/call", { name: "nap", arguments: args }, { key });
      expect(body.error?.code).toBe(-32602);
    }
    const proto =
      '{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","arguments":{"__proto__":{}}}}';
    const { body } = await answered(await post(url, proto, { key }));
    expect(body.result).toMatchObject({ isError: true, _meta: { "jackfield/outcome": "INVALID_ARGUMENTS" } });
  });

  test("progress arrives as increasing events, before the answer", async () => {
    const params = { name: "nap", arguments: { ms: 20, report: true }, _meta: { progressToken: "t" } };
    const response = await post(url, { jsonrpc: "2.0", id: 9, method: "tools/call", params }, { key });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    expect(messagesOf(await response.text())).toMatchObject([
      {
        method: "notifications/progress",
        params: { progressToken: "t", progress: 0.5, total: 1, message: "half way" },
      },
      { id: 9, result: { structuredContent: { slept: 20 } } },
    ]);
    const plain = await post(
      url,
      { jsonrpc: "2.0", id: 9, method: "tools/call", params },
      { key, headers: { accept: "application/json" } },
    );
    expect(plain.headers.get("content-type")).toMatch(/^application\/json/);
    expect(await plain.json()).toMatchObject({ id: 9, result: { structuredContent: { slept: 20 } } });
  });
});
