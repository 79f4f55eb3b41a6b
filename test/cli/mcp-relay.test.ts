import { expect, test } from "vitest";
import { createMcpRelay } from "../../src/cli/mcp-relay.ts";
import { startReceiver } from "../support/receiver.ts";

test.each(["null", "7", '"x"', "[]"])("a line that is JSON but no message (%s) is refused", (line) => {
  const lines: unknown[] = [];
  const relay = createMcpRelay({
    url: "http://127.0.0.1:1",
    key: undefined,
    write: (text) => lines.push(JSON.parse(text)),
  });
  relay.receive(line);
  expect(lines).toEqual([{ jsonrpc: "2.0", error: { code: -32600, message: "Expected a JSON-RPC 2.0 message" } }]);
});

test.each([{ params: null }, { method: 7 }])("the service judges a message with %j", async (change) => {
  const answer = { jsonrpc: "2.0", id: 1, error: { code: -32602, message: "no" } };
  await using service = await startReceiver(() => ({ status: 400, body: answer }));
  const lines: unknown[] = [];
  const relay = createMcpRelay({ url: service.url, key: undefined, write: (text) => lines.push(JSON.parse(text)) });
  relay.receive(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping", ...change }));
  await relay.end();
  expect(lines).toEqual([answer]);
});
