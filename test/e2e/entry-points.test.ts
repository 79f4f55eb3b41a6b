import { createParser } from "eventsource-parser";
import type { EventSourceMessage } from "eventsource-parser";
import { afterAll, beforeAll, expect } from "vitest";
import { post, readAnswer, until } from "../support/http-client.ts";
import { startService, testTool } from "../support/service.ts";
import type { ServiceUnderTest } from "../support/service.ts";
import { testRequirement } from "../support/test-requirement.ts";

let service: ServiceUnderTest;
beforeAll(async () => {
  service = await startService();
}, 60_000);
afterAll(() => service[Symbol.asyncDispose]());

/** Parses a stream of events with a published client. */
function eventsOf(text: string): EventSourceMessage[] {
  const events: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => void events.push(event) });
  parser.feed(text);
  return events;
}

const london = '{"location":"London","temperature":22,"unit":"celsius","condition":"clear"}';

/** A call as Genesys sends it. */
function call(id: unknown, name: unknown, args: unknown) {
  return { id, function: { name, arguments: args } };
}

function gateway(body: unknown, headers?: Record<string, string>) {
  return readAnswer(post(`${service.url}/llm-gateway/tools`, body, headers));
}

testRequirement(
  ["000.1", "000.4", "000.7", "000.8"],
  "the LLM Gateway gets events in its own format from every bundled tool",
  async () => {
    // The embedded inventory is created at the first start, which takes time.
    await until(async () => !(await (await fetch(`${service.url}/readyz`)).text()).includes("tool "), 60_000);
    const answer = await gateway({
      conversation_id: "c-1",
      session_id: "s-1",
      tool_calls: [
        call("a", "get_order_status", '{"order_id":"ORD-1001"}'),
        call("b", "get_weather", { location: "London" }),
        call("c", "fetch_customer_balance", { customer_id: "CUST-3001" }),
        call("d", "check_inventory", { product_id: "SKU-8842", warehouse: "US-WEST" }),
        call("e", "search_inventory", { sku: "SKU-8842", warehouse: "US-WEST" }),
        call("f", "update_ticket_priority", { ticket_id: "TCK-2001", priority: "high" }),
      ],
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toMatch(/^text\/event-stream/);
    expect(answer.headers.get("cache-control")).toBe("no-cache");
    expect(answer.headers.get("connection")).toBe("keep-alive");
    expect(answer.headers.get("x-accel-buffering")).toBe("no");
    const events = eventsOf(answer.text);
    expect(events.map(({ event }) => event)).toEqual([...Array<string>(6).fill("tool_progress"), "tool_result"]);
    for (const [index, { data }] of events.slice(0, 6).entries()) {
      expect(JSON.parse(data)).toMatchObject({ step: index + 1, total: 6, status: "completed" });
      expect(data.startsWith(`{"step":${index + 1},"total":6,"status":"completed"`)).toBe(true);
    }
    const { tool_results: results } = JSON.parse(events[6]?.data ?? "") as {
      tool_results: { id: string; function: { name: string; output: string } }[];
    };
    expect(results.map(({ id }) => id)).toEqual(["a", "b", "c", "d", "e", "f"]);
    expect(Object.keys(results[0] ?? {})).toEqual(["id", "function"]);
    expect(results[0]?.function).toEqual({
      name: "get_order_status",
      output:
        '{"order_id":"ORD-1001","status":"shipped","estimated_delivery":"2026-12-04","conversation_id":"c-1","session_id":"s-1"}',
    });
    expect(results[1]?.function.output).toBe(london);
    expect(JSON.parse(results[2]?.function.output ?? "")).toEqual({
      customer_id: "CUST-3001",
      balance: expect.any(Number) as number,
      currency: expect.any(String) as string,
    });
    expect(JSON.parse(results[3]?.function.output ?? "")).toEqual({
      product_id: "SKU-8842",
      warehouse: "US-WEST",
      quantity: expect.any(Number) as number,
      status: expect.any(String) as string,
    });
    expect(results[4]?.function.output).toBe(
      '{"items":[{"sku":"SKU-8842","quantity":12,"status":"ACTIVE"}],"total":1}',
    );
    expect(JSON.parse(results[5]?.function.output ?? "")).toEqual({
      ticket_id: "TCK-2001",
      priority: "high",
      status: expect.any(String) as string,
    });
  },
  90_000,
);

testRequirement(
  ["000.2", "000.3"],
  "the LLM Gateway's malformed envelopes get these exact answers (hazards 1, 11 and 12)",
  async () => {
    const noCalls = '{"error":"Missing or invalid tool_calls array"}';
    for (const body of [
      {},
      { tool_calls: null },
      { tool_calls: {} },
      { tool_calls: [] },
      { tool_calls: "x" },
      [],
      '"x"',
      "null",
      "1",
    ]) {
      const answer = await gateway(body);
      expect([answer.status, answer.text]).toEqual([400, noCalls]);
      expect(answer.headers.get("content-type")).toMatch(/^application\/json/);
    }
    const badCall = '{"error":"Invalid tool call schema: missing id, name, or arguments"}';
    const good = { id: "a", function: { name: "get_weather", arguments: "{}" } };
    const bad = [
      null,
      1,
      "x",
      [],
      {},
      { id: "a" },
      { id: "a", function: null },
      { id: "a", function: {} },
      { id: "a", function: { name: "x" } },
      { id: "a", function: { arguments: "{}" } },
      { id: "a", function: { name: "", arguments: "{}" } },
      { id: "", function: good.function },
      { function: good.function },
      { id: 1, function: good.function },
      { id: "i".repeat(257), function: good.function },
      { id: "a", function: { name: "x", arguments: null } },
      { id: "a", function: { name: 1, arguments: "{}" } },
    ];
    for (const one of bad) {
      const answer = await gateway({ tool_calls: [good, one] });
      expect([JSON.stringify(one), answer.status, answer.text]).toEqual([JSON.stringify(one), 400, badCall]);
    }
    const longest = await gateway({ tool_calls: [call("😀".repeat(256), "get_weather", '{"location":"London"}')] });
    expect(longest.status).toBe(200);
  },
);

testRequirement(
  ["000.3", "000.5", "000.6", "000.7"],
  "each call of a batch has its own result (hazard 15)",
  async () => {
    const names = ["constructor", "toString", "__proto__", "hasOwnProperty", "../x", "x".repeat(129), "a b", "名"];
    const { text } = await gateway({
      tool_calls: [
        ...names.map((name, index) => call(`u${index}`, name, "{}")),
        call("j", "get_weather", "{not json"),
        call("e", "get_weather", ""),
        ...[5, false, [1]].map((value, index) => call(`v${index}`, "get_weather", value as never)),
        call("n", "get_order_status", '{"order_id":"NONE-1"}'),
        call("g", "get_weather", '{"location":"London"}'),
      ],
    });
    const last = eventsOf(text).at(-1);
    const { tool_results: results } = JSON.parse(last?.data ?? "") as {
      tool_results: { id: string; function: { name: string; output: string } }[];
    };
    const output = Object.fromEntries(results.map((result) => [result.id, result.function.output]));
    for (const [index, name] of names.entries()) {
      expect(output[`u${index}`]).toBe(JSON.stringify({ error: `Unknown tool: ${name}` }));
      expect(results[index]?.function.name).toBe(name);
    }
    expect(output["j"]).toBe('{"error":"Invalid JSON in arguments for get_weather"}');
    expect(output["e"]).toBe(
      `{"error":"Schema validation failed for get_weather: : must have required property 'location'"}`,
    );
    for (const id of ["v0", "v1", "v2"]) {
      expect(output[id]).toMatch(/^\{"error":".*get_weather.*object/);
    }
    expect(output["n"]).toMatch(/^\{"error":"External API returned 404: /);
    expect(output["g"]).toBe(london);
  },
);

testRequirement(["000.9", "000.11", "fault-000.progress"], "progress is sent while other calls still run", async () => {
  await using own = await startService({ plugins: [{ use: testTool("nap") }] });
  const response = await post(`${own.url}/llm-gateway/tools`, {
    tool_calls: [
      call("slow", "nap", { ms: 1500, report: true }),
      call("fast", "nap", { ms: 0 }),
      call("bad", "nap", "{"),
    ],
  });
  const events: EventSourceMessage[] = [];
  let runningAtFirst: Promise<string> | undefined;
  const parser = createParser({
    onEvent(event) {
      events.push(event);
      if (event.data.includes('"status":"completed"'))
        runningAtFirst ??= fetch(`${own.url}/metrics`).then((metrics) => metrics.text());
    },
  });
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) parser.feed(decoder.decode(chunk as Uint8Array, { stream: true }));
  const data = events.map((event) => JSON.parse(event.data) as { step?: number; status?: string; id?: string });
  expect(data.filter(({ status }) => status === "running")).toMatchObject([
    { id: "slow", message: "half way", fraction: 0.5 },
  ]);
  expect(data.filter(({ status }) => status === "completed").map(({ step }) => step)).toEqual([1, 2, 3]);
  expect(await runningAtFirst).toContain("jackfield_executions_running 1");
  expect(events.at(-1)?.event).toBe("tool_result");
});

testRequirement("000.10", "conversation and session reach the tool and its log lines, with the trace id", async () => {
  await using own = await startService({ plugins: [{ use: testTool("echo") }] });
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const answer = await readAnswer(
    post(
      `${own.url}/llm-gateway/tools`,
      { conversation_id: "conv-77", session_id: "sess-77", tool_calls: [call("a", "echo", "{}")] },
      { traceparent },
    ),
  );
  expect(answer.text).toContain(
    String.raw`\"conversation\":\"conv-77\",\"session\":\"sess-77\",\"source\":\"genesys\"`,
  );
  const line = await until(() =>
    own
      .logs()
      .split("\n")
      .find((text) => text.includes('"msg":"echoing"')),
  );
  expect(JSON.parse(line)).toMatchObject({
    tool: "echo",
    call: "a",
    conversation: "conv-77",
    session: "sess-77",
    trace_id: "0af7651916cd43dd8448eb211c80319c",
  });
  await readAnswer(
    post(`${own.url}/llm-gateway/tools`, { tool_calls: [call("b", "echo", "{}"), call("c", "echo", "{}")] }),
  );
  const lines = await until(() => {
    const found = own
      .logs()
      .split("\n")
      .filter((text) => text.includes('"msg":"echoing"'));
    return found.length === 3 && found;
  });
  const ids = lines.slice(1).map((text) => (JSON.parse(text) as { trace_id?: string }).trace_id);
  expect(ids[0]).toMatch(/^[0-9a-f]{32}$/);
  expect(ids[1]).toBe(ids[0]);
});
