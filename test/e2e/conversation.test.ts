import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import { Conversations } from "../../gen/jackfield/v1/conversations_pb.ts";
import type { RunConversationResponse } from "../../gen/jackfield/v1/conversations_pb.ts";
import { startReceiver } from "../support/receiver.ts";
import type { Answer } from "../support/receiver.ts";
import { startService, testTool } from "../support/service.ts";
import { testRequirement } from "../support/test-requirement.ts";

const path = "/api/v2/ai-builder/llm-gateway/conversations";

interface Asked {
  model: string;
  stream: boolean;
  tools: { type: string; function: { name: string } }[];
  messages: { role: string; content: string | null; tool_call_id?: string }[];
}

/** Starts a gateway that returns its answers in turn and repeats the last one, and the service. */
async function start(answers: readonly Answer[], dataDir?: string) {
  let turn = 0;
  const gateway = await startReceiver(({ path: asked }) => {
    if (asked === "/oauth/token") return { body: { access_token: "t", expires_in: 3600 } };
    if (asked.startsWith("/seats")) return { body: { booked: decodeURIComponent(asked.slice(7)) } };
    return answers[Math.min(turn++, answers.length - 1)] ?? {};
  });
  const service = await startService({
    ...(dataDir !== undefined && { dataDir }),
    env: { GENESYS_API_BASE_URL: gateway.url, GENESYS_CLIENT_ID: "me", GENESYS_CLIENT_SECRET: "geheim" },
    plugins: [{ use: testTool("book"), config: { baseUrl: gateway.url } }, { use: testTool("nap") }],
  });
  return {
    service,
    asked: () =>
      gateway.received.filter((request) => request.path === path).map(({ text }) => JSON.parse(text) as Asked),
    tokens: () => gateway.received.filter((request) => request.path === "/oauth/token"),
    seats: () => gateway.received.filter((request) => request.path.startsWith("/seats")).length,
    async converse(conversationId: string, grpc = false) {
      const transport = grpc
        ? createGrpcTransport({ baseUrl: service.url })
        : createConnectTransport({ baseUrl: service.url, httpVersion: "1.1" });
      const events: RunConversationResponse["event"][] = [];
      for await (const { event } of createClient(Conversations, transport).runConversation({
        message: "Please",
        conversationId,
      }))
        events.push(event);
      const last = events.at(-1);
      return {
        events,
        text: last?.case === "done" ? last.value.text : undefined,
        rounds: last?.case === "done" ? last.value.rounds : undefined,
      };
    },
    async [Symbol.asyncDispose]() {
      await service[Symbol.asyncDispose]();
      await gateway[Symbol.asyncDispose]();
    },
  };
}

const wants = (...calls: [id: string, name: string, args: object | string][]): Answer => ({
  body: {
    choices: [
      {
        message: {
          role: "assistant",
          content: null,
          tool_calls: calls.map(([id, name, args]) => ({
            id,
            type: "function",
            function: { name, arguments: typeof args === "string" ? args : JSON.stringify(args) },
          })),
        },
      },
    ],
  },
});
const says = (content: string): Answer => ({ body: { choices: [{ message: { role: "assistant", content } }] } });

testRequirement(
  ["002.4", "002.5", "002.7", "002.8", "002.10"],
  "two concurrent tools, then failing ones, then the answer",
  async () => {
    await using run = await start([
      wants(["a", "book", { seat: "1" }], ["b", "nap", { ms: 0 }]),
      wants(["c", "nothing", {}], ["d", "nap", {}], ["e", "nap", "{"]),
      says("Done."),
    ]);
    const { events, text, rounds } = await run.converse("c-1", true);
    expect([text, rounds]).toEqual(["Done.", 3]);
    expect(events.filter((event) => event.case === "call").map((event) => event.value.name)).toEqual([
      "book",
      "nap",
      "nothing",
      "nap",
      "nap",
    ]);
    const [first, second, third] = run.asked();
    expect(first).toMatchObject({ model: "gpt-4o", stream: false, messages: [{ role: "user", content: "Please" }] });
    expect(first?.tools.map((tool) => [tool.type, tool.function.name])).toEqual([
      ["function", "book"],
      ["function", "nap"],
    ]);
    expect(second?.messages.slice(2)).toEqual([
      { role: "tool", tool_call_id: "a", content: '{"booked":"1"}' },
      { role: "tool", tool_call_id: "b", content: '{"slept":0}' },
    ]);
    expect(third?.messages.slice(5).map(({ tool_call_id: id, content }) => [id, content])).toEqual([
      ["c", "Execution error: Unknown tool: nothing"],
      ["d", "Execution error: Tool input validation failed for nap: : must have required property 'ms'"],
      ["e", expect.stringMatching(/^Execution error: /) as string],
    ]);
    const form = new URLSearchParams(run.tokens()[0]?.text);
    expect(form.get("scope")).toBe("ai-builder:llm-gateway:write");
  },
  60_000,
);

testRequirement(
  "002.8",
  "a model that never stops calling tools is stopped after five requests, and the last calls are not run",
  async () => {
    let turn = 0;
    await using run = await start(
      Array.from({ length: 6 }, () => wants([`w${turn++}`, "book", { seat: String(turn) }])),
    );
    expect((await run.converse("c-2")).text).toBe("Maximum tool execution iterations reached.");
    expect([run.asked().length, run.seats()]).toEqual([5, 4]);
  },
  60_000,
);

testRequirement(
  ["002.9", "fault-002.recursion"],
  "a gateway that answers 429 three times ends it with a message; twice does not",
  async () => {
    const busy: Answer = { status: 429, headers: { "retry-after": "0" }, body: {} };
    await using run = await start([busy, busy, says("At last.")]);
    expect((await run.converse("c-3")).text).toBe("At last.");
    await using worse = await start([busy]);
    await expect(worse.converse("c-4")).rejects.toThrow(/Rate limit exceeded after retries/);
    expect(worse.asked()).toHaveLength(3);
  },
  60_000,
);

test("an interrupted conversation that runs again under its id repeats no write", async () => {
  await using run = await start([
    wants(["a", "book", { seat: "7" }]),
    { status: 500, body: {} },
    wants(["a", "book", { seat: "7" }]),
    says("Booked."),
  ]);
  await expect(run.converse("c-5")).rejects.toThrow();
  expect(run.seats()).toBe(1);
  expect((await run.converse("c-5")).text).toBe("Booked.");
  expect(run.seats()).toBe(1);
  expect(run.asked().at(-1)?.messages.at(-1)?.content).toBe('{"booked":"7"}');
}, 60_000);
