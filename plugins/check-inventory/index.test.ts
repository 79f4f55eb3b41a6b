import { startSandbox, startTool } from "jackfield/testing";
import { expect, test } from "vitest";
import checkInventory from "./index.ts";

async function start() {
  const sandbox = await startSandbox({ parts: { backOffice: true } });
  const tool = await startTool(checkInventory, { config: { baseUrl: sandbox.backOfficeUrl ?? "" } });
  return {
    call: tool.call,
    async [Symbol.asyncDispose]() {
      await tool[Symbol.asyncDispose]();
      await sandbox.close();
    },
  };
}

test("returns the stock of a product in a warehouse", async () => {
  await using tool = await start();
  const result = await tool.call({ product_id: "SKU-8842", warehouse: "EU-CENTRAL" });
  expect(result.outcome).toBe("OK");
  expect(result.output).toBe('{"product_id":"SKU-8842","warehouse":"EU-CENTRAL","quantity":145,"status":"in_stock"}');
});

test("returns the warehouse as it was requested", async () => {
  await using tool = await start();
  const result = await tool.call({ product_id: "SKU-8842", warehouse: "EU-Central" });
  expect(result.value).toMatchObject({ warehouse: "EU-Central", quantity: 145 });
});

test("reports an unknown product with the inventory system's message", async () => {
  await using tool = await start();
  const result = await tool.call({ product_id: "SKU-1", warehouse: "EU-CENTRAL & more" });
  expect(result.outcome).toBe("FAILED");
  expect(result.output).toBe('External API returned 404: {"error":"No product SKU-1 in warehouse EU-CENTRAL & more"}');
});

test("refuses a call without a warehouse", async () => {
  await using tool = await start();
  expect((await tool.call({ product_id: "SKU-8842" })).outcome).toBe("INVALID_ARGUMENTS");
});
