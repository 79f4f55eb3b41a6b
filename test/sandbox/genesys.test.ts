import { expect, test } from "vitest";
import { startSandbox } from "../../src/sandbox/sandbox.ts";

interface Turn {
  content: string | null;
  tool_calls?: { id: string; function: { name: string; arguments: string } }[];
}

const named = (...names: string[]) =>
  names.map((name) => ({ type: "function", function: { name, description: "", parameters: {} } }));

async function start() {
  const sandbox = await startSandbox({ parts: { genesys: true } });
  const base = sandbox.genesysUrl ?? "";
  const post = (path: string, body: unknown, headers: Record<string, string> = { authorization: "Bearer any" }) =>
    fetch(base + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
  return {
    base,
    post,
    ask: async (messages: unknown[], tools: unknown[]): Promise<Turn> => {
      const response = await post("/api/v2/ai-builder/llm-gateway/conversations", {
        model: "gpt-4o",
        messages,
        tools,
        stream: false,
      });
      const answer = (await response.json()) as { choices: { message: Turn }[] };
      return answer.choices[0]?.message ?? { content: null };
    },
    [Symbol.asyncDispose]: () => sandbox.close(),
  };
}

test("a token is issued for credentials in the header or in the form, and for nothing else", async () => {
  await using genesys = await start();
  const token = (headers: Record<string, string>, form: Record<string, string>) =>
    fetch(`${genesys.base}/oauth/token`, { method: "POST", headers, body: new URLSearchParams(form) });
  const basic = { authorization: `Basic ${Buffer.from("id:secret").toString("base64")}` };
  const byHeader = await token(basic, { grant_type: "client_credentials", scope: "a b" });
  expect(await byHeader.json()).toMatchObject({ token_type: "bearer", expires_in: 86_400, scope: "a b" });
  const byForm = await token({}, { grant_type: "client_credentials", client_id: "id", client_secret: "secret" });
  expect(byForm.status).toBe(200);
  expect((await token({}, { grant_type: "client_credentials" })).status).toBe(401);
  expect((await token(basic, { grant_type: "password" })).status).toBe(400);
});

test("deliveries are stored, and a repeated one is counted", async () => {
  await using genesys = await start();
  const path = "/api/v2/ai/assistants/runs/run%2F1/tool_calls";
  const body = { tool_calls: [{ tool_call_id: "c1", output: "{}" }] };
  const headers = { authorization: "Bearer any", "idempotency-key": "job-1" };
  expect((await genesys.post(path, body, headers)).status).toBe(200);
  expect((await genesys.post(path, body, headers)).status).toBe(200);
  expect(await (await fetch(`${genesys.base}/_deliveries`)).json()).toEqual({
    total: 2,
    deliveries: [{ run_id: "run/1", idempotency_key: "job-1", tool_calls: body.tool_calls, times: 2 }],
  });
});

test("a delivery without a token or without outputs is refused", async () => {
  await using genesys = await start();
  const path = "/api/v2/ai/assistants/runs/r/tool_calls";
  expect((await genesys.post(path, { tool_calls: [{ tool_call_id: "c1", output: "{}" }] }, {})).status).toBe(401);
  expect((await genesys.post(path, { tool_calls: [] })).status).toBe(400);
  expect((await genesys.post(path, { tool_calls: [{ tool_call_id: "c1", output: {} }] })).status).toBe(400);
});

test("the model requests two tools at once and answers from their results", async () => {
  await using genesys = await start();
  const user = {
    role: "user",
    content: "What is the weather in London, and how many units of product SKU-8842 are in the EU-Central warehouse?",
  };
  const tools = named("get_weather", "check_inventory", "search_inventory", "get_order_status");
  const asked = await genesys.ask([user], tools);
  expect(asked.tool_calls?.map((call) => [call.function.name, JSON.parse(call.function.arguments)])).toEqual([
    ["get_weather", { location: "London" }],
    ["check_inventory", { product_id: "SKU-8842", warehouse: "EU-CENTRAL" }],
  ]);
  const answered = await genesys.ask(
    [
      user,
      { role: "assistant", ...asked },
      {
        role: "tool",
        tool_call_id: asked.tool_calls?.[0]?.id,
        content: '{"location":"London","temperature":22,"unit":"celsius","condition":"clear"}',
      },
      { role: "tool", tool_call_id: asked.tool_calls?.[1]?.id, content: "Error: External API returned 503: down" },
    ],
    tools,
  );
  expect(answered.tool_calls).toBeUndefined();
  expect(answered.content).toBe(
    "In London it is 22 °C, clear. I could not find that out: Error: External API returned 503: down",
  );
});

test("the model requests each kind of tool in the message's own words", async () => {
  await using genesys = await start();
  const tools = named(
    "get_weather",
    "check_inventory",
    "search_inventory",
    "get_order_status",
    "update_ticket_priority",
    "fetch_customer_balance",
    "echo",
  );
  const callsFor = async (content: string) =>
    ((await genesys.ask([{ role: "user", content }], tools)).tool_calls ?? []).map((call) => [
      call.function.name,
      JSON.parse(call.function.arguments) as unknown,
    ]);
  expect(await callsFor("Where is my order #W2378156?")).toEqual([["get_order_status", { order_id: "#W2378156" }]]);
  expect(await callsFor("What about order ORD-1001 and order number 77?")).toEqual([
    ["get_order_status", { order_id: "ORD-1001" }],
    ["get_order_status", { order_id: "77" }],
  ]);
  expect(await callsFor("Set ticket TCK-2001 to urgent please")).toEqual([
    ["update_ticket_priority", { ticket_id: "TCK-2001", priority: "urgent" }],
  ]);
  expect(await callsFor("What is the balance of CUST-3001?")).toEqual([
    ["fetch_customer_balance", { customer_id: "CUST-3001" }],
  ]);
  expect(await callsFor("Search the inventory for SKU-8842 at US-WEST")).toEqual([
    ["search_inventory", { sku: "SKU-8842", warehouse: "US-WEST" }],
  ]);
  expect(await callsFor("Weather in New York in fahrenheit")).toEqual([
    ["get_weather", { location: "New York", unit: "fahrenheit" }],
  ]);
  expect(await callsFor('Call echo {"text":{"a":1}} now')).toEqual([["echo", { text: { a: 1 } }]]);
});

test("without a suitable tool the model answers at once", async () => {
  await using genesys = await start();
  const answered = await genesys.ask(
    [{ role: "user", content: "What is the weather in London?" }],
    named("get_order_status"),
  );
  expect(answered.tool_calls).toBeUndefined();
  expect(answered.content).toContain("What would you like to know?");
});
