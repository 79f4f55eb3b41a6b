import { SpanStatusCode, trace } from "@opentelemetry/api";
import { expect, test } from "vitest";
import { testRequirement } from "../support/test-requirement.ts";
import { toolReturning, callsAnswer, toolEnding, textAnswer, startConversation } from "./stand-in.ts";

async function twoTools() {
  const talk = await startConversation(
    [callsAnswer(["a", "get_weather", "{}"], ["b", "broken", "{}"]), textAnswer("ok")],
    {
      get_weather: toolReturning({ temperature: 22 }),
      broken: toolEnding("FAILED", "Login with Bearer abcdef123456 failed."),
    },
  );
  await talk.converse("Hi", "c-9");
  return talk;
}

testRequirement(
  "002.11",
  "a conversation is one tree of spans, and the pipeline's span is a child of the tool's",
  async () => {
    await using talk = await twoTools();
    const spans = talk.spans();
    const only = (name: string, nth = 0) => spans.filter((span) => span.name === name)[nth]!;
    const conversation = only("genesys.llm.gateway.conversation");
    const [first, second] = [only("genesys.llm.gateway.invocation"), only("genesys.llm.gateway.invocation", 1)];
    const [good, bad] = [only("tool.execute.get_weather"), only("tool.execute.broken")];
    expect(spans).toHaveLength(5);

    expect(conversation).toMatchObject({
      attributes: { "conversation.id": "c-9", model: "gpt-4o" },
      status: { code: SpanStatusCode.OK },
    });
    expect(first).toMatchObject({
      attributes: { iteration: 0, tool_count: 2, latency_ms: expect.any(Number) },
      status: { code: SpanStatusCode.OK },
    });
    expect(second.attributes["iteration"]).toBe(1);
    expect(good).toMatchObject({
      attributes: { "tool.name": "get_weather", "tool.call_id": "a", success: true },
      status: { code: SpanStatusCode.OK },
    });
    expect(bad).toMatchObject({ attributes: { success: false }, status: { code: SpanStatusCode.ERROR } });

    for (const invocation of [first, second]) {
      expect(invocation.parentSpanContext?.spanId).toBe(conversation.spanContext().spanId);
    }
    for (const tool of [good, bad]) expect(tool.parentSpanContext?.spanId).toBe(first.spanContext().spanId);
    expect(trace.getSpanContext(talk.traces.get("a")!)).toEqual(good.spanContext());
    expect(trace.getSpanContext(talk.traces.get("b")!)).toEqual(bad.spanContext());
  },
);

testRequirement(
  "002.12",
  "start, success and failure are audited, the failure without the secret in its message",
  async () => {
    await using talk = await twoTools();
    const [start, ...tools] = talk.audited;
    expect(start).toEqual({
      event: "conversation_start",
      conversation_id: "c-9",
      model: "gpt-4o",
      timestamp: 1_700_000_000.5,
    });
    expect(tools).toHaveLength(2);
    expect(tools).toContainEqual({
      event: "tool_success",
      conversation_id: "c-9",
      tool_name: "get_weather",
      tool_call_id: "a",
      latency_ms: 120,
    });
    expect(tools).toContainEqual({
      event: "tool_failure",
      conversation_id: "c-9",
      tool_name: "broken",
      error: "Login with Bearer [redacted] failed.",
    });
  },
);

testRequirement(["002.12", "fault-002.success"], "a timeout is audited as a failure", async () => {
  await using talk = await startConversation([callsAnswer(["a", "slow", "{}"]), textAnswer("ok")], {
    slow: toolEnding("TIMED_OUT", "Tool execution failed or timed out."),
  });
  await talk.converse();
  expect(talk.audited.map((line) => line.event)).toEqual(["conversation_start", "tool_failure"]);
});

test("the spans of an interrupted conversation end with its reason", async () => {
  await using talk = await startConversation([{ status: 503, body: "down" }], {});
  await expect(talk.converse()).rejects.toThrow();
  const status = { code: SpanStatusCode.ERROR, message: "the LLM gateway answered 503: down" };
  expect(talk.spans().map((span) => [span.name, span.status])).toEqual([
    ["genesys.llm.gateway.invocation", status],
    ["genesys.llm.gateway.conversation", status],
  ]);
});

test("the calls of a conversation share a trace id even if no span is recorded", async () => {
  const replies = [callsAnswer(["a", "x", "{}"], ["b", "x", "{}"]), textAnswer("ok")];
  await using talk = await startConversation(replies, { x: toolReturning(1) }, { tracing: false });
  await talk.converse();
  const [first, second] = ["a", "b"].map((id) => trace.getSpanContext(talk.traces.get(id)!)!.traceId);
  expect(first).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
  expect(second).toBe(first);
});
