import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { testRequirement } from "../support/test-requirement.ts";
import { toolReturning, callsAnswer, toolEnding, textAnswer, startConversation } from "./stand-in.ts";
import { rpcError } from "./rpc-error.ts";

const weather = toolReturning({ location: "Zürich", temperature: 22 });
const failing = toolEnding("FAILED", "The warehouse is closed.");

describe("a conversation", () => {
  testRequirement(
    ["002.3", "002.7", "002.8"],
    "sends a request, runs two tools concurrently, one of which fails, and returns the answer",
    async () => {
      await using talk = await startConversation(
        [
          callsAnswer(["a", "get_weather", '{"location":"Zürich"}'], ["b", "check_inventory", { id: "7" }]),
          callsAnswer(["c", "broken", "{}"]),
          textAnswer("All done."),
        ],
        { get_weather: weather, check_inventory: toolReturning([1, 2]), broken: failing },
      );
      const { events, text, rounds } = await talk.converse("How is Zürich?");
      expect({ text, rounds }).toEqual({ text: "All done.", rounds: 3 });
      expect(events.map((event) => event.case)).toEqual([
        "turn",
        "call",
        "call",
        "result",
        "result",
        "turn",
        "call",
        "result",
        "turn",
        "done",
      ]);
      const [first, second, third] = talk.bodies();
      expect(talk.requests[0]).toMatchObject({
        method: "POST",
        url: "/api/v2/ai-builder/llm-gateway/conversations",
        headers: { authorization: "Bearer token-1", "content-type": "application/json" },
      });
      expect(first).toMatchObject({
        model: "gpt-4o",
        stream: false,
        messages: [{ role: "user", content: "How is Zürich?" }],
      });
      const parameters = { type: "object", properties: { id: { type: "string" } } };
      expect(first!.tools).toEqual(
        ["broken", "check_inventory", "get_weather"].map((name) => ({
          type: "function",
          function: { name, description: `The tool ${name}.`, parameters },
        })),
      );
      expect(second!.messages.slice(2)).toEqual([
        { role: "tool", tool_call_id: "a", content: '{"location":"Zürich","temperature":22}' },
        { role: "tool", tool_call_id: "b", content: "[1,2]" },
      ]);
      expect(second!.messages[1]).toMatchObject({
        role: "assistant",
        content: null,
        tool_calls: [{ id: "a" }, { id: "b" }],
      });
      expect(third!.messages.at(-1)).toEqual({
        role: "tool",
        tool_call_id: "c",
        content: "Error: The warehouse is closed.",
      });
      expect(talk.seenConversations).toEqual(["c-1", "c-1", "c-1"]);
    },
  );

  test("reports excess calls in one answer as errors, and does not run them", async () => {
    const asked = Array.from({ length: 70 }, (_, n): [string, string, string] => [`c-${n}`, "get_weather", "{}"]);
    let ran = 0;
    const counted: typeof weather = async (...given) => {
      ran += 1;
      return weather(...given);
    };
    await using talk = await startConversation([callsAnswer(...asked), textAnswer("Done.")], { get_weather: counted });
    expect((await talk.converse("Everywhere?")).text).toBe("Done.");
    expect(ran).toBe(64);
    const answers = talk.bodies()[1]!.messages.slice(2) as { content: string }[];
    expect(answers).toHaveLength(70);
    expect(answers[63]?.content).toContain("Zürich");
    expect(answers[64]?.content).toBe("Execution error: Too many tool calls: at most 64 are run");
  });

  testRequirement("002.8", "runs the calls of one answer concurrently and reports each as it ends", async () => {
    const release = Promise.withResolvers<void>();
    await using talk = await startConversation(
      [callsAnswer(["slow", "slow", ""], ["fast", "fast", ""]), textAnswer("ok")],
      {
        slow: async (call, { progress }) => {
          progress("waiting for the other");
          await release.promise;
          return weather(call, { progress, signal: new AbortController().signal });
        },
        fast: async (call, hooks) => {
          queueMicrotask(() => release.resolve());
          return toolReturning("quick")(call, hooks);
        },
      },
    );
    const { events } = await talk.converse();
    expect(talk.running.max).toBe(2);
    const ended = events.flatMap((event) => (event.case === "result" ? [event.value.callId] : []));
    expect(ended).toEqual(["fast", "slow"]);
    expect(events).toContainEqual({
      case: "progress",
      value: expect.objectContaining({ callId: "slow", message: "waiting for the other" }),
    });
    // The messages are in the order of the calls nevertheless.
    expect(
      talk
        .bodies()[1]!
        .messages.slice(2)
        .map((message) => message.tool_call_id),
    ).toEqual(["slow", "fast"]);
  });

  testRequirement(
    "002.8",
    "ends after five requests if the model never stops calling tools, and does not run calls whose results nobody would read",
    async () => {
      let runs = 0;
      await using talk = await startConversation([callsAnswer(["x", "again", "{}"])], {
        again: async (call, hooks) => ((runs += 1), toolReturning("more")(call, hooks)),
      });
      const { text, rounds, events } = await talk.converse();
      expect(text).toBe("Maximum tool execution iterations reached.");
      expect(rounds).toBe(5);
      expect(talk.requests).toHaveLength(5);
      expect(runs).toBe(4);
      expect(events.filter((event) => event.case === "call")).toHaveLength(4);
    },
  );

  testRequirement(["002.4", "002.5", "002.6"], "reports every outcome to the model in its own message", async () => {
    const sentences: Record<string, [ReturnType<typeof toolEnding>, string]> = {
      a_timeout: [
        toolEnding("TIMED_OUT", "Tool execution failed or timed out."),
        "Tool execution failed or timed out.",
      ],
      a_throw: [toolEnding("FAILED", "Tool execution failed or timed out."), "Tool execution failed or timed out."],
      a_tool_error: [toolEnding("FAILED", "No such order."), "Error: No such order."],
      bad_json: [
        toolEnding("INVALID_ARGUMENTS", "Invalid JSON in arguments for x"),
        "Execution error: Invalid JSON in arguments for x",
      ],
      bad_schema: [
        toolEnding("INVALID_ARGUMENTS", "Schema validation failed for bad_schema: …", [
          { path: "/id", message: "must be string" },
          { path: "", message: "must have required property 'n'" },
        ]),
        "Execution error: Tool input validation failed for bad_schema: /id: must be string, : must have required property 'n'",
      ],
      unserialisable: [
        toolEnding("INVALID_OUTPUT", "Result could not be serialized to JSON or string."),
        "Result could not be serialized to JSON or string.",
      ],
      uncertain: [toolEnding("UNCERTAIN", "It is not known."), "Error: It is not known."],
      busy: [toolEnding("OVERLOADED", "This tool is busy."), "Execution error: This tool is busy."],
      plain_text: [toolReturning("just text"), "just text"],
      nothing: [toolReturning(null), "null"],
    };
    const names = Object.keys(sentences);
    await using talk = await startConversation(
      [
        callsAnswer(...names.map((name): [string, string, string] => [name, name, "{}"]), ["u", "nobody", "{}"]),
        textAnswer("ok"),
      ],
      Object.fromEntries(names.map((name) => [name, sentences[name]![0]])),
    );
    await talk.converse();
    const contents = Object.fromEntries(
      talk
        .bodies()[1]!
        .messages.slice(2)
        .map((message) => [message.tool_call_id, message.content]),
    );
    expect(contents).toEqual({
      ...Object.fromEntries(names.map((name) => [name, sentences[name]![1]])),
      u: "Execution error: Unknown tool: nobody",
    });
  });

  test("continues if the executor refuses one call as a message", async () => {
    await using talk = await startConversation([callsAnswer(["a", "picky", "{}"]), textAnswer("ok")], {
      picky: async () => {
        throw new ConnectError("call.id must have at most 256 characters", Code.InvalidArgument);
      },
    });
    expect((await talk.converse()).text).toBe("ok");
    expect(talk.bodies()[1]!.messages.at(-1)!.content).toBe(
      "Execution error: call.id must have at most 256 characters",
    );
  });

  test("ends with the executor's error if the service cannot execute at all", async () => {
    await using talk = await startConversation([callsAnswer(["a", "x", "{}"], ["b", "y", "{}"])], {
      x: async () => {
        throw new ConnectError("the service is shutting down", Code.Unavailable);
      },
      y: (_call, { signal }) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    });
    expect(await rpcError(talk.converse())).toMatchObject({
      code: Code.Unavailable,
      rawMessage: "the service is shutting down",
    });
    expect(talk.requests).toHaveLength(1);
  });

  test("stops its tools and its request when the caller disconnects", async () => {
    await using talk = await startConversation(["never"], {});
    const caller = new AbortController();
    const ended = rpcError(talk.converse("Hi", "c", caller.signal));
    await expect.poll(() => talk.requests.length).toBe(1);
    caller.abort(new ConnectError("gone", Code.Canceled));
    expect((await ended).code).toBe(Code.Canceled);
  });

  test("treats text parts as text, and an answer without text as empty", async () => {
    const parts = [{ type: "text", text: "Hello " }, { type: "image" }, { type: "text", text: "you" }];
    await using talk = await startConversation([textAnswer(parts)], {});
    expect((await talk.converse()).text).toBe("Hello you");
    await using silent = await startConversation([textAnswer(null)], {});
    expect((await silent.converse()).text).toBe("");
  });

  test("refuses an empty message and a long id before sending a request", async () => {
    await using talk = await startConversation([textAnswer("ok")], {});
    expect(await rpcError(talk.converse(""))).toMatchObject({ code: Code.InvalidArgument });
    expect(await rpcError(talk.converse("Hi", "x".repeat(257)))).toMatchObject({ code: Code.InvalidArgument });
    expect(talk.requests).toHaveLength(0);
    expect(talk.audited).toHaveLength(0);
  });

  test("generates an id if none is given", async () => {
    await using talk = await startConversation([callsAnswer(["a", "x", "{}"]), textAnswer("ok")], {
      x: toolReturning(1),
    });
    await talk.converse("Hi", "");
    expect(talk.seenConversations[0]).toMatch(/^[0-9a-f-]{36}$/);
  });
});
