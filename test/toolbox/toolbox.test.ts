import type Anthropic from "@anthropic-ai/sdk";
import type { FunctionDeclaration, GenerateContentResponse } from "@google/genai";
import { generateText, isStepCount } from "ai";
import { MockLanguageModelV4 } from "ai/test";
import type OpenAI from "openai";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createToolbox, type Toolbox } from "../../src/toolbox/index.ts";
import { startWorld } from "../e2e/support/world.ts";
import { until } from "../e2e/support/until.ts";
import { type ServiceUnderTest, startService, testTool } from "../support/service.ts";

let service: ServiceUnderTest;
let box: Toolbox;
beforeAll(async () => {
  service = await startService({ plugins: [{ use: testTool("echo") }] });
  box = await createToolbox({ baseUrl: service.url, conversationId: "conversation-1" });
});
afterAll(() => service[Symbol.asyncDispose]());

const seen = (args: object) => JSON.stringify({ args, conversation: "conversation-1", session: null, source: "local" });

describe("the tools in each provider's own types", () => {
  test("OpenAI responses and chat completions", () => {
    const responses: OpenAI.Responses.FunctionTool[] = box.openai();
    const chat: OpenAI.Chat.Completions.ChatCompletionTool[] = box.openaiChat();
    expect(responses).toEqual([
      {
        type: "function",
        name: "echo",
        description: "Says what it was given.",
        parameters: { type: "object", properties: {} },
        strict: false,
      },
    ]);
    expect(chat).toMatchObject([{ type: "function", function: { name: "echo" } }]);
  });

  test("Anthropic and Gemini", () => {
    const anthropic: readonly { name: string; input_schema: object }[] = box.anthropic();
    const gemini: { functionDeclarations: FunctionDeclaration[] }[] = box.gemini();
    expect(anthropic).toMatchObject([{ name: "echo", input_schema: { type: "object", properties: {} } }]);
    expect(gemini).toMatchObject([
      { functionDeclarations: [{ name: "echo", parametersJsonSchema: { type: "object" } }] },
    ]);
  });
});

describe("the calls of a model's answer are run, and answered in order", () => {
  test("OpenAI responses: the items are part of the next input", async () => {
    const response = {
      output: [
        { type: "reasoning", id: "r", summary: [] },
        { type: "function_call", call_id: "o1", name: "echo", arguments: '{"n":1}' },
        { type: "function_call", call_id: "o2", name: "no_such_tool", arguments: "{}" },
      ],
    } satisfies Pick<OpenAI.Responses.Response, "output">;
    const input: OpenAI.Responses.ResponseInputItem[] = [];
    input.push(...(await box.run(response)));
    expect(input).toEqual([
      { type: "function_call_output", call_id: "o1", output: seen({ n: 1 }) },
      { type: "function_call_output", call_id: "o2", output: "Unknown tool: no_such_tool" },
    ]);
  });

  test("chat completions: one tool message per call, also for arguments that are not JSON", async () => {
    const completion = {
      choices: [
        {
          message: {
            role: "assistant",
            content: null,
            refusal: null,
            tool_calls: [
              { id: "c1", type: "function", function: { name: "echo", arguments: '{"n":1}' } },
              { id: "c2", type: "function", function: { name: "echo", arguments: "{" } },
            ],
          },
        },
      ],
    } satisfies { choices: Pick<OpenAI.Chat.Completions.ChatCompletion.Choice, "message">[] };
    const messages: OpenAI.Chat.Completions.ChatCompletionMessageParam[] = [];
    messages.push(...(await box.run(completion)));
    expect(messages).toEqual([
      { role: "tool", tool_call_id: "c1", content: seen({ n: 1 }) },
      { role: "tool", tool_call_id: "c2", content: "Invalid JSON in arguments for echo" },
    ]);
  });

  test("Anthropic: all results in one user message, with their errors marked", async () => {
    const message = {
      role: "assistant",
      content: [
        { type: "text", text: "Let me look.", citations: null },
        { type: "tool_use", id: "a1", name: "echo", input: { n: 1 } },
        { type: "tool_use", id: "a2", name: "no_such_tool", input: {} },
      ],
    } as unknown as Pick<Anthropic.Message, "role" | "content">;
    const messages: Anthropic.MessageParam[] = [];
    messages.push(...(await box.run(message)));
    expect(messages).toEqual([
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "a1", content: seen({ n: 1 }), is_error: false },
          { type: "tool_result", tool_use_id: "a2", content: "Unknown tool: no_such_tool", is_error: true },
        ],
      },
    ]);
  });

  test("Gemini: function responses, also for calls without an id", async () => {
    const response = {
      candidates: [{ content: { role: "model", parts: [{ functionCall: { name: "echo", args: { n: 1 } } }] } }],
    } satisfies Pick<GenerateContentResponse, "candidates">;
    expect(await box.run(response)).toEqual([
      { role: "user", parts: [{ functionResponse: { name: "echo", response: { output: seen({ n: 1 }) } } }] },
    ]);
  });

  test("an answer without calls yields none, and other input is a TypeError", async () => {
    expect(await box.run({ output: [] })).toEqual([]);
    expect(await box.run({ role: "assistant", content: [{ type: "text", text: "hello" }] })).toEqual([]);
    await expect(box.run({ answer: 42 } as never)).rejects.toThrow(TypeError);
  });
});

test("the AI SDK's own loop runs the tools and reads their answers", async () => {
  const usage = {
    inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 1, text: 1, reasoning: 0 },
  };
  const model = new MockLanguageModelV4({
    doGenerate: [
      {
        content: [{ type: "tool-call", toolCallId: "s1", toolName: "echo", input: '{"n":1}' }],
        finishReason: { unified: "tool-calls", raw: undefined },
        usage,
        warnings: [],
      },
      {
        content: [{ type: "text", text: "done" }],
        finishReason: { unified: "stop", raw: undefined },
        usage,
        warnings: [],
      },
    ],
  });
  const { text, steps } = await generateText({ model, prompt: "go", tools: box.aiSdk(), stopWhen: isStepCount(3) });
  expect(text).toBe("done");
  expect(steps[0]?.toolResults).toMatchObject([{ toolCallId: "s1", output: seen({ n: 1 }) }]);
});

test("without a conversation, two toolboxes never share a call", async () => {
  const [one, two] = await Promise.all([
    createToolbox({ baseUrl: service.url }),
    createToolbox({ baseUrl: service.url }),
  ]);
  expect(one.conversationId).not.toBe(two.conversationId);
});

test("a failure of the service rejects, a failure of a call does not", async () => {
  await expect(createToolbox({ baseUrl: "http://127.0.0.1:9" })).rejects.toMatchObject({ name: "ConnectError" });
});

test("a process killed between effect and answer: the same history again has one effect", async () => {
  await using world = await startWorld();
  // A write is reconciled when it can no longer be in progress: a short timeout keeps the test short.
  const plugins = [
    {
      use: join(import.meta.dirname, "../e2e/plugins/put-known.ts"),
      config: { baseUrl: world.downstream.url },
      limits: { timeoutMs: 2000 },
    },
  ];
  const process = await world.start({ config: { plugins } });
  const history = {
    output: [{ type: "function_call", call_id: "once", name: "put_known", arguments: '{"id":"e1","delay":1500}' }],
  };
  const toolbox = await createToolbox({ baseUrl: process.url, conversationId: "c" });
  const lost = toolbox.run(history).catch(() => undefined);
  await until("it has taken effect", () => world.downstream.requests.length === 1);
  await process.kill();
  expect(await lost).toBeUndefined();
  await process.start();
  const again = await createToolbox({ baseUrl: process.url, conversationId: "c" });
  const answers = await again.run(history);
  expect(answers).toEqual([{ type: "function_call_output", call_id: "once", output: '{"id":"e1","number":1}' }]);
  expect(await again.run(history)).toEqual(answers);
  expect(world.downstream.requests.filter(({ callId }) => callId === "once")).toHaveLength(1);
}, 60_000);
