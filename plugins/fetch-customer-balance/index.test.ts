import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { startSandbox, startTool } from "jackfield/testing";
import { expect, test } from "vitest";
import fetchCustomerBalance from "./index.ts";

async function start(path = "") {
  const sandbox = await startSandbox({ parts: { backOffice: true, weather: true } });
  const tool = await startTool(fetchCustomerBalance, { config: { baseUrl: `${sandbox.backOfficeUrl}${path}` } });
  return {
    call: tool.call,
    async [Symbol.asyncDispose]() {
      await tool[Symbol.asyncDispose]();
      await sandbox.close();
    },
  };
}

test("returns a customer's balance with its currency", async () => {
  await using tool = await start();
  const result = await tool.call({ customer_id: "CUST-3001" });
  expect(result.outcome).toBe("OK");
  expect(result.output).toBe('{"customer_id":"CUST-3001","balance":182.4,"currency":"EUR"}');
});

test("reports an unknown customer with the customer system's message", async () => {
  await using tool = await start();
  const result = await tool.call({ customer_id: "Jürgen Müller" });
  expect(result.outcome).toBe("FAILED");
  expect(result.output).toBe('External API returned 404: {"error":"No customer Jürgen Müller"}');
});

test("passes on a balance with more digits than a double has", async () => {
  const digits = "12345678901234567.89";
  const server = createServer((_request, response) => {
    response.setHeader("content-type", "application/json").end(`{"balance":${digits},"currency":"EUR"}`);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await using tool = await startTool(fetchCustomerBalance, { config: { baseUrl } });
  const result = await tool.call({ customer_id: "c" });
  expect([result.outcome, result.output]).toEqual(["OK", `{"customer_id":"c","balance":${digits},"currency":"EUR"}`]);
  server.closeAllConnections();
  server.close();
});

test("refuses an id of 65 characters and a missing one", async () => {
  await using tool = await start();
  expect((await tool.call({ customer_id: "x".repeat(65) })).outcome).toBe("INVALID_ARGUMENTS");
  expect((await tool.call({})).outcome).toBe("INVALID_ARGUMENTS");
});
