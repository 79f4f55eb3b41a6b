import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import checkInventory from "@jackfield/check-inventory";
import fetchCustomerBalance from "@jackfield/fetch-customer-balance";
import getOrderStatus from "@jackfield/get-order-status";
import getWeather from "@jackfield/get-weather";
import searchInventory from "@jackfield/search-inventory";
import updateTicketPriority from "@jackfield/update-ticket-priority";
import { startSandbox, startTool } from "jackfield/testing";
import { expect } from "vitest";
import { testRequirement } from "../support/test-requirement.ts";

interface Asked {
  readonly line: string;
  readonly authorization: string | undefined;
  readonly idempotencyKey: string | undefined;
  readonly body: string;
}

/** Starts a downstream that answers by path and records its requests. */
async function startDownstream(answers: Record<string, unknown>) {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const key = request.headers["idempotency-key"];
      asked.push({
        line: `${request.method} ${request.url}`,
        authorization: request.headers.authorization,
        idempotencyKey: Array.isArray(key) ? key[0] : key,
        body: Buffer.concat(chunks).toString("utf8"),
      });
      const answer = answers[`${request.method} ${request.url}`];
      response.statusCode = answer === undefined ? 404 : 200;
      response.setHeader("content-type", "application/json").end(JSON.stringify(answer ?? { error: "unknown" }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    asked,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const ids = { callId: "call-1", conversationId: "conv-1", sessionId: "sess-1" };

testRequirement(
  "000.14",
  "get_order_status requests the order with the key, and adds conversation and session",
  async () => {
    await using downstream = await startDownstream({
      "GET /orders/%23W2378156": { id: "#W2378156", status: "shipped", estimated_delivery: "2026-12-04", total: 1 },
    });
    await using tool = await startTool(getOrderStatus, { config: { baseUrl: downstream.url, apiKey: "k-1" } });
    const result = await tool.call({ order_id: "#W2378156" }, ids);
    expect(result.output).toBe(
      '{"order_id":"#W2378156","status":"shipped","estimated_delivery":"2026-12-04","conversation_id":"conv-1","session_id":"sess-1"}',
    );
    expect(downstream.asked).toMatchObject([{ line: "GET /orders/%23W2378156", authorization: "Bearer k-1" }]);
    const alone = await tool.call({ order_id: "#W2378156" });
    expect(alone.output).toBe('{"order_id":"#W2378156","status":"shipped","estimated_delivery":"2026-12-04"}');
  },
);

testRequirement(
  "000.14",
  "update_ticket_priority patches the ticket with an idempotency key and the priority alone",
  async () => {
    await using downstream = await startDownstream({
      "PATCH /tickets/T%2F1": { id: "T/1", priority: "high", status: "open" },
    });
    await using tool = await startTool(updateTicketPriority, { config: { baseUrl: downstream.url, apiKey: "k-1" } });
    const result = await tool.call({ ticket_id: "T/1", priority: "high" }, ids);
    expect(result.output).toBe('{"ticket_id":"T/1","priority":"high","status":"open"}');
    expect(downstream.asked).toHaveLength(1);
    expect(downstream.asked[0]).toMatchObject({ authorization: "Bearer k-1", body: '{"priority":"high"}' });
    expect(downstream.asked[0]?.idempotencyKey).toMatch(/./);
    const refused = await tool.call({ ticket_id: "T/1", priority: "asap" }, { ...ids, callId: "call-2" });
    expect(refused.outcome).toBe("INVALID_ARGUMENTS");
    expect(downstream.asked).toHaveLength(1);
    expect(updateTicketPriority.effect).toBe("write");
  },
);

testRequirement("000.14", "fetch_customer_balance requests the balance of a customer", async () => {
  await using downstream = await startDownstream({
    "GET /customers/J%C3%BCrgen%20M/balance": { balance: -12.5, currency: "EUR" },
  });
  await using tool = await startTool(fetchCustomerBalance, { config: { baseUrl: downstream.url, apiKey: "k-1" } });
  const result = await tool.call({ customer_id: "Jürgen M" }, ids);
  expect(result.output).toBe('{"customer_id":"Jürgen M","balance":-12.5,"currency":"EUR"}');
  expect(downstream.asked).toMatchObject([{ authorization: "Bearer k-1" }]);
});

testRequirement(
  "000.14",
  "an id may have 64 characters, and without a key no Authorization header is sent",
  async () => {
    const longest = "ü".repeat(64);
    await using downstream = await startDownstream({
      [`GET /orders/${encodeURIComponent(longest)}`]: {
        id: longest,
        status: "shipped",
        estimated_delivery: "2026-12-04",
      },
    });
    await using tool = await startTool(getOrderStatus, { config: { baseUrl: downstream.url } });
    expect((await tool.call({ order_id: longest })).outcome).toBe("OK");
    expect((await tool.call({ order_id: `${longest}ü` })).outcome).toBe("INVALID_ARGUMENTS");
    expect(downstream.asked).toHaveLength(1);
    expect(downstream.asked[0]?.authorization).toBeUndefined();
  },
);

testRequirement("000.12", "the bundled REST tools may take 10 s", () => {
  const tools = [getOrderStatus, updateTicketPriority, fetchCustomerBalance, getWeather, checkInventory];
  expect(tools.map((tool) => tool.timeoutMs)).toEqual([10_000, 10_000, 10_000, 10_000, 10_000]);
});

testRequirement("002.13", "get_weather answers for any place, in celsius by default and in fahrenheit", async () => {
  await using sandbox = await startSandbox({ parts: { weather: true } });
  const config = { baseUrl: sandbox.weatherUrl ?? "", geocodingBaseUrl: sandbox.geocodingUrl ?? "" };
  await using tool = await startTool(getWeather, { config });
  expect((await tool.call({ location: "London" })).output).toBe(
    '{"location":"London","temperature":22,"unit":"celsius","condition":"clear"}',
  );
  expect((await tool.call({ location: "London", unit: "fahrenheit" })).value).toMatchObject({
    temperature: 71.6,
    unit: "fahrenheit",
  });
  expect((await tool.call({ location: "Bad Münstereifel" })).outcome).toBe("OK");
  expect(getWeather.effect).toBe("read");
});

testRequirement("002.13", "check_inventory requests the product with the warehouse as query", async () => {
  await using downstream = await startDownstream({
    "GET /inventory/SKU-8842?warehouse=EU-CENTRAL": { quantity: 145, status: "in_stock" },
  });
  await using tool = await startTool(checkInventory, { config: { baseUrl: downstream.url } });
  const result = await tool.call({ product_id: "SKU-8842", warehouse: "EU-CENTRAL" });
  expect(result.output).toBe('{"product_id":"SKU-8842","warehouse":"EU-CENTRAL","quantity":145,"status":"in_stock"}');
  expect(checkInventory.effect).toBe("read");
});

testRequirement(
  ["001.5", "001.6"],
  "search_inventory finds active stock in the embedded database",
  async () => {
    await using tool = await startTool(searchInventory, { config: {} });
    await tool.ready();
    expect((await tool.call({ sku: "SKU-8842", warehouse: "US-WEST" })).output).toBe(
      '{"items":[{"sku":"SKU-8842","quantity":12,"status":"ACTIVE"}],"total":1}',
    );
    expect((await tool.call({ sku: "AB-999999", warehouse: "EU-CENTRAL" })).output).toBe(
      '{"message":"No active inventory found for SKU AB-999999 at EU-CENTRAL."}',
    );
    for (const args of [
      { sku: "sku-1", warehouse: "US-WEST" },
      { sku: "SKU-8842", warehouse: "US" },
      { sku: "SKU-8842", warehouse: "US-WEST", x: 1 },
    ]) {
      expect((await tool.call(args)).outcome).toBe("INVALID_ARGUMENTS");
    }
  },
  60_000,
);

testRequirement("001.6", "a database that cannot be reached is reported by readiness, before any call", async () => {
  const state = await searchInventory.open?.({ databaseUrl: "postgres://nobody:geheim@127.0.0.1:9/none" });
  if (state === undefined) {
    throw new Error("the tool has no state");
  }
  await expect(Promise.resolve(searchInventory.ready?.(state))).rejects.toThrow(
    /The inventory database cannot be reached: .*127\.0\.0\.1:9/,
  );
  await searchInventory.close?.(state);
});
