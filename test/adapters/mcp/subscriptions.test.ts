import { afterAll, beforeAll, expect, test } from "vitest";
import { startService, testTool, type ServiceUnderTest } from "../../support/service.ts";
import { messagesOf, modern, modernMessage, modernOptions, post } from "./mcp-client.ts";

let service: ServiceUnderTest;
let url: string;

beforeAll(async () => {
  service = await startService({
    yaml: { adapters: { mcp: { taskAfterMs: 20 } } },
    plugins: [{ use: testTool("nap") }, { use: testTool("echo") }],
  });
  ({ url } = service);
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

/** Registers a tool, like a caller of the RPC. */
async function register(at: string, name: string): Promise<void> {
  await fetch(`${at}/jackfield.v1.ToolRegistry/RegisterTool`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      tool: { name, description: "Comes later.", inputSchema: { type: "object" } },
      target: { http: { url: "https://tools.example.com/later" } },
    }),
  });
}

/** Opens a stream of notifications and records them. */
async function listen(at: string, notifications: object) {
  const message = modernMessage("subscriptions/listen", { notifications });
  const gone = new AbortController();
  const response = await post(at, message, { ...modernOptions("subscriptions/listen", {}, {}), signal: gone.signal });
  let text = "";
  const reading = (async () => {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk as Uint8Array).toString();
  })().catch(() => undefined);
  return {
    id: message.id,
    response,
    messages: () => messagesOf(text) as { method?: string; params?: Record<string, unknown>; result?: object }[],
    reading,
    close: () => gone.abort(),
  };
}

const listChanged = "notifications/tools/list_changed";

test("a stream starts with the current state, and reports changes under its id", async () => {
  const tools = await listen(url, { toolsListChanged: true, promptsListChanged: true });
  const nothing = await listen(url, {});
  await expect.poll(() => tools.messages().length).toBe(1);
  const subscription = { "io.modelcontextprotocol/subscriptionId": tools.id };
  expect(tools.messages()[0]).toEqual({
    jsonrpc: "2.0",
    method: "notifications/subscriptions/acknowledged",
    params: { notifications: { toolsListChanged: true }, _meta: subscription },
  });
  await register(url, "later_tool");
  await expect.poll(() => tools.messages().map(({ method }) => method), { timeout: 5000 }).toContain(listChanged);
  expect(tools.messages()[1]).toEqual({ jsonrpc: "2.0", method: listChanged, params: { _meta: subscription } });
  expect(nothing.messages()).toHaveLength(1);
  tools.close();
  nothing.close();
});

test("a stream reports the ends of the caller's tasks, with the answer", async () => {
  const started = await modern(url, "tools/call", { name: "nap", arguments: { ms: 300 } }, { tasks: true });
  const taskId = started.body.result?.["taskId"] as unknown as string;
  const stream = await listen(url, { taskIds: [taskId, "nothing"] });
  await expect.poll(() => stream.messages()[0]?.params?.["notifications"]).toEqual({ taskIds: [taskId] });
  await expect
    .poll(() => stream.messages().filter(({ params }) => params?.["status"] === "completed"), { timeout: 5000 })
    .toMatchObject([
      {
        method: "notifications/tasks",
        params: {
          taskId,
          result: { structuredContent: { slept: 300 } },
          _meta: { "io.modelcontextprotocol/subscriptionId": stream.id },
        },
      },
    ]);
  stream.close();
  const wrong = await modern(url, "subscriptions/listen", { notifications: { taskIds: "all" } });
  expect(wrong.body.error?.code).toBe(-32602);
});

test("a client that reads no events is refused", async () => {
  const { status, body } = await modern(url, "subscriptions/listen", {}, { headers: { accept: "application/json" } });
  expect([status, body.error?.message]).toEqual([406, "subscriptions/listen needs Accept: text/event-stream"]);
});

test("shutdown ends streams with a result", async () => {
  const short = await startService({ plugins: [{ use: testTool("echo") }] });
  const stream = await listen(short.url, { toolsListChanged: true });
  await expect.poll(() => stream.messages().length).toBe(1);
  await short[Symbol.asyncDispose]();
  await stream.reading;
  expect(stream.messages().at(-1)).toMatchObject({
    id: stream.id,
    result: { resultType: "complete", _meta: { "io.modelcontextprotocol/subscriptionId": stream.id } },
  });
});
