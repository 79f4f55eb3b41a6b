import { once } from "node:events";
import * as net from "node:net";
import { describe, expect, test } from "vitest";
import { testRequirement } from "../support/test-requirement.ts";
import { usual, gateway, readAll, outputs, path } from "./start-genesys.ts";

const call = (id: string, name: string, input: unknown = "{}") => ({ id, function: { name, arguments: input } });

async function raw(port: number, headers: string): Promise<string> {
  const socket = net.connect(port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const head = `Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n${headers}\r\n{}`;
  socket.write(`POST ${path} HTTP/1.1\r\n${head}`);
  await once(socket, "close");
  return text;
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
