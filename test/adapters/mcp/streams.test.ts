import { expect, test } from "vitest";
import { createMcpAdapter } from "../../../src/adapters/mcp/index.ts";
import { startAdapter } from "../start-adapter.ts";
import { messagesOf, post } from "./mcp-client.ts";

const settings = {
  answerWithinMs: 5000,
  taskAfterMs: 5000,
  pageSize: 100,
  listTtlMs: 0,
  instructions: "",
  sanitize: "text",
  maxOutput: 65_536,
} as const;

/** The adapter with short times. */
function impatient() {
  return createMcpAdapter(settings, {
    version: "0",
    log: { error: () => {} },
    trusted: { hosts: [], origins: [] },
    metadataUrl: undefined,
    taskTtlMs: 1000,
    stateSecret: async () => "secret",
    shutdown: new AbortController().signal,
    times: { streamAfterMs: 20, commentEveryMs: 20 },
  });
}

test("a slow call is answered as a stream with comments, only to a client that reads events", async () => {
  const held = Promise.withResolvers<string>();
  await using server = await startAdapter({ adapter: impatient(), tools: { held: () => held.promise } });
  // The answer was sent before a stream would have opened: its timer must not touch the reply any more.
  await (await post(server.url, { jsonrpc: "2.0", id: 1, method: "ping" })).text();
  const call = { jsonrpc: "2.0", id: 5, method: "tools/call", params: { name: "held" } };
  const plain = post(server.url, call, { headers: { accept: "application/json" } });
  const streamed = await post(server.url, { ...call, id: 6 });
  expect(streamed.headers.get("content-type")).toBe("text/event-stream");
  const reader = streamed.body?.getReader();
  let text = "";
  while (!text.includes(":\n\n")) text += Buffer.from((await reader?.read())?.value ?? []).toString();
  held.resolve("there");
  for (let part = await reader?.read(); part?.done === false; part = await reader?.read())
    text += Buffer.from(part.value).toString();
  expect(messagesOf(text)).toMatchObject([{ id: 6, result: { content: [{ text: "there" }] } }]);
  expect(await (await plain).json()).toMatchObject({ id: 5, result: { content: [{ text: "there" }] } });
});
