import { type ClientHttp2Session, connect } from "node:http2";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startService, testTool, type ServiceUnderTest } from "../../support/service.ts";
import { messagesOf, modern, modernMessage, modernOptions, older, post } from "./mcp-client.ts";

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

/** Registers a tool, as a caller of the RPC does. */
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

/** Opens a stream of notifications, and keeps what comes. */
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

test(
  "of ten thousand listeners half are refused with a message, calls continue, and all slots are free afterwards",
  { timeout: 120_000 },
  async () => {
    const sessions: ClientHttp2Session[] = [];
    const statuses = new Map<number, number>();
    let refusal = "";
    const open = (session: ClientHttp2Session): Promise<void> =>
      new Promise((resolve) => {
        const stream = session.request({
          ":method": "POST",
          ":path": "/mcp",
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
          ...modernOptions("subscriptions/listen", {}, {}).headers,
        });
        stream.on("error", () => resolve());
        stream.once("response", ({ ":status": status = 0 }) => {
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          resolve();
        });
        stream.on("data", (chunk: Buffer) => {
          if (refusal === "" && chunk.includes('"error"')) refusal = chunk.toString();
        });
        stream.end(
          JSON.stringify(modernMessage("subscriptions/listen", { notifications: { toolsListChanged: true } })),
        );
      });
    for (let index = 0; index < 100; index += 1) {
      const session = connect(url);
      session.on("error", () => {});
      sessions.push(session);
      await Promise.all(Array.from({ length: 100 }, () => open(session)));
    }
    expect([statuses.get(200), statuses.get(503)]).toEqual([5000, 5000]);
    expect((JSON.parse(refusal) as { error: { message: string } }).error.message).toBe(
      "Too many subscriptions are open: at most 5000. Close one, or ask tools/list and tasks/get.",
    );
    const call = await older(url, "tools/call", { name: "echo", arguments: {} });
    expect(call.body.result).not.toHaveProperty("isError");
    for (const session of sessions) session.destroy();
    await expect
      .poll(
        async () => {
          const stream = await listen(url, {});
          stream.close();
          return stream.response.status;
        },
        { timeout: 20_000 },
      )
      .toBe(200);
  },
);
