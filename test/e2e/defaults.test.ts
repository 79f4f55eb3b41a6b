import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { expect, vi } from "vitest";
import { Conversations } from "../../gen/jackfield/v1/conversations_pb.ts";
import { post, rpc, readAnswer, until } from "../support/http-client.ts";
import { useFakeTimeouts } from "../support/fake-timeouts.ts";
import { type Answer, type Received, startReceiver } from "../support/receiver.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { type ServiceOptions, startService, testTool } from "../support/service.ts";
import { testRequirement } from "../support/test-requirement.ts";

// The whole service as in production. No test sets the number that it is about.

/** Starts a platform that grants tokens and answers everything else as the test defines, and the service connected to it. */
async function startConnected(answer: (request: Received) => Answer | Promise<Answer>, options: ServiceOptions = {}) {
  const platform = await startReceiver((request) =>
    request.path === "/oauth/token" ? { body: { access_token: "t", expires_in: 3600 } } : answer(request),
  );
  const service = await startService({
    ...options,
    env: { GENESYS_API_BASE_URL: platform.url, GENESYS_CLIENT_ID: "me", GENESYS_CLIENT_SECRET: "geheim" },
    plugins: [
      { use: testTool("book"), config: { baseUrl: platform.url } },
      { use: testTool("odd") },
      { use: testTool("nap") },
    ],
  });
  return {
    url: service.url,
    received: (path: string) => platform.received.filter((request) => request.path.startsWith(path)),
    async [Symbol.asyncDispose]() {
      await service[Symbol.asyncDispose]();
      await platform[Symbol.asyncDispose]();
    },
  };
}

testRequirement("000.9", "an idle stream gets a comment every 15 s", async () => {
  const held: (() => void)[] = [];
  await using app = await startConnected(
    () => new Promise((resolve) => held.push(() => resolve({ body: { booked: true } }))),
  );
  for (const [ms, comments] of [
    [14_999, 0],
    [15_000, 1],
    [29_999, 1],
    [30_000, 2],
  ] as const) {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    try {
      const tool_calls = [{ id: `after-${ms}`, function: { name: "book", arguments: { seat: "1" } } }];
      const response = await post(`${app.url}/llm-gateway/tools`, { conversation_id: "c", tool_calls });
      vi.advanceTimersByTime(ms);
      held.pop()?.();
      const text = await response.text();
      expect(text).toContain("event: tool_result");
      expect([ms, text.split("\n\n").filter((block) => block === ":").length]).toEqual([ms, comments]);
    } finally {
      vi.useRealTimers();
    }
  }
});

testRequirement("000.9", "a stream of MCP gets a comment every 15 s, too", async () => {
  await using app = await startConnected(() => ({}));
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  try {
    // The report opens the stream.
    const start = async (ms: number, signal = AbortSignal.any([])) => {
      const params = { name: "nap", arguments: { ms, report: true }, _meta: { progressToken: "p" } };
      return await fetch(`${app.url}/mcp`, {
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json, text/event-stream" },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }),
        signal,
      });
    };
    const short = await start(300);
    vi.advanceTimersByTime(14_999);
    const text = await short.text();
    expect(text).toContain("half way");
    expect(text).not.toContain("\n\n:\n\n");

    const left = new AbortController();
    const long = await start(15_000, left.signal);
    vi.advanceTimersByTime(15_000);
    const reader = long.body!.pipeThrough(new TextDecoderStream()).getReader();
    let read = "";
    while (!read.includes("\n\n:\n\n")) {
      const { value, done } = await reader.read();
      if (done) break;
      read += value;
    }
    expect(read).not.toContain("slept");
    left.abort();
  } finally {
    vi.useRealTimers();
  }
});

const converse = async (url: string): Promise<void> => {
  const client = createClient(Conversations, createConnectTransport({ baseUrl: url, httpVersion: "1.1" }));
  for await (const { event } of client.runConversation({ message: "Please" })) void event;
};
const gatewayPath = "/api/v2/ai-builder/llm-gateway/conversations";

testRequirement("002.8", "a request to the model is aborted after 30 s", async () => {
  await using app = await startConnected(() => new Promise(() => {}));
  using timeouts = useFakeTimeouts(30_000);
  const failed = vi.fn<(reason: unknown) => void>();
  const ended = converse(app.url).catch(failed);
  await until(() => app.received(gatewayPath).length === 1);
  timeouts.advance(29_999);
  // An aborted request would have failed by the time that this one is answered.
  await rpc(app.url, "ToolExecutor/ListTools", {});
  expect(failed).not.toHaveBeenCalled();
  timeouts.advance(1);
  await ended;
  expect(String(failed.mock.calls[0]?.[0])).toContain("did not answer within 30 s");
});

testRequirement(
  "002.6",
  "the model gets 4096 characters of a tool's output, whatever their size in bytes",
  async () => {
    const call = { id: "a", type: "function", function: { name: "odd", arguments: '{"how":"long"}' } };
    const messages = [
      { role: "assistant", content: null, tool_calls: [call] },
      { role: "assistant", content: "Done." },
    ];
    await using app = await startConnected(() => ({ body: { choices: [{ message: messages.shift() }] } }));
    await converse(app.url);
    const [, second] = app
      .received(gatewayPath)
      .map(({ text }) => JSON.parse(text) as { messages: { role: string; content: string }[] });
    expect(second?.messages.at(-1)).toMatchObject({ role: "tool", content: `${"😀".repeat(4093)}...` });
  },
);

const runs = "/api/v2/ai/assistants/runs/";
for (const [yaml, state, told] of [
  [{}, "JOB_STATE_DELIVERING", "is tried again by default"],
  [{ delivery: { retryForMs: 0 } }, "JOB_STATE_DEAD", "is given up when delivery.retryForMs of the file is used up"],
] as const) {
  testRequirement("001.9", `a delivery that fails ${told}`, async () => {
    await using app = await startConnected(() => ({ status: 503 }), { yaml });
    const tool_calls = [{ id: "a", type: "function", function: { name: "odd", arguments: '{"how":"text"}' } }];
    const accepted = await post(`${app.url}/webhook/tool-calls`, { run_id: "r", tool_calls });
    const id = accepted.headers.get("jackfield-job-id");
    const job = await until(async () => {
      const { job } = (await rpc(app.url, "Jobs/GetJob", { id })).body as { job?: { error?: string; state?: string } };
      return job?.error !== undefined && job;
    });
    expect([job.state, app.received(runs).length]).toEqual([state, 1]);
  });
}

testRequirement(
  "003.10",
  "a replay is answered, but neither metrics nor the audit log count its call again",
  async () => {
    using folder = scratchFolder();
    await using seats = await startReceiver(() => ({ body: { booked: true } }));
    const call = { tool_call_id: "once", name: "book", arguments: { seat: "1" } };
    {
      await using service = await startService({
        dataDir: folder.path,
        plugins: [{ use: testTool("book"), config: { baseUrl: seats.url } }],
      });
      const answers = [1, 2, 3].map(() => () => readAnswer(post(`${service.url}/api/v1/llm/tool-callback`, call)));
      for (const answer of answers) expect(await answer()).toMatchObject({ status: 200 });
      const samples = (await (await fetch(`${service.url}/metrics`)).text()).split("\n");
      const totals = (name: string): (string | undefined)[] =>
        samples.filter((line) => new RegExp(`^${name}[ {]`).test(line)).map((line) => / (\d+)$/.exec(line)?.[1]);
      expect(totals("cognigy_tool_invocations_total")).toEqual(["3"]);
      expect(totals("cognigy_tool_cost_attribution_total")).toEqual(["1"]);
      expect(totals("cognigy_tool_execution_duration_seconds_count")).toEqual(["1"]);
      expect(totals("jackfield_tool_calls_total")).toEqual(["1"]);
      expect(totals("gen_ai_execute_tool_duration_seconds_count")).toEqual(["1"]);
    }
    expect(seats.received).toHaveLength(1);
    const lines = readFileSync(join(folder.path, "audit.jsonl"), "utf8").trimEnd().split("\n");
    expect(lines.filter((line) => line.includes('"once"'))).toHaveLength(1);
  },
);
