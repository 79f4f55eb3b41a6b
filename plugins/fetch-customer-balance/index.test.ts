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

test("refuses an id of 65 characters and a missing one", async () => {
  await using tool = await start();
  expect((await tool.call({ customer_id: "x".repeat(65) })).outcome).toBe("INVALID_ARGUMENTS");
  expect((await tool.call({})).outcome).toBe("INVALID_ARGUMENTS");
});
