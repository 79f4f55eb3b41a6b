import { expect, test } from "vitest";
import { createBackOfficeRecords } from "../../src/sandbox/back-office-records.ts";
import { startSandbox } from "../../src/sandbox/sandbox.ts";

async function start() {
  const sandbox = await startSandbox({ parts: { backOffice: true } });
  const base = sandbox.backOfficeUrl ?? "";
  return {
    base,
    sandbox,
    get: async (path: string) => {
      const response = await fetch(base + path);
      return { status: response.status, body: await response.json() };
    },
    patch: async (ticket: string, body: unknown, headers: Record<string, string> = {}) => {
      const response = await fetch(`${base}/tickets/${ticket}`, {
        method: "PATCH",
        headers,
        body: JSON.stringify(body),
      });
      return { status: response.status, headers: response.headers, body: await response.json() };
    },
    [Symbol.asyncDispose]: () => sandbox.close(),
  };
}

test("only the requested parts have a URL", async () => {
  await using running = await start();
  expect(running.base).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect(running.sandbox).not.toHaveProperty("weatherUrl");
  expect(running.sandbox).not.toHaveProperty("genesysUrl");
});

test("there are a few hundred records of each kind, the same each time", () => {
  const records = createBackOfficeRecords();
  expect(records.orders.size).toBeGreaterThan(350);
  expect(records.tickets.size).toBe(300);
  expect(records.customers.size).toBe(250);
  expect(records.stock.size).toBe(360);
  expect([...records.customers.values()].some((customer) => /[äöü]/.test(customer.name))).toBe(true);
  expect(createBackOfficeRecords()).toEqual(records);
});

test("an order, a balance and stock are returned", async () => {
  await using office = await start();
  expect((await office.get("/orders/ORD-1001")).body).toMatchObject({
    id: "ORD-1001",
    status: "shipped",
    estimated_delivery: "2026-12-04",
  });
  expect((await office.get("/orders/%23W2378156")).body).toMatchObject({ id: "#W2378156" });
  expect((await office.get("/customers/CUST-3001/balance")).body).toMatchObject({ balance: 182.4, currency: "EUR" });
  expect((await office.get("/inventory/SKU-8842?warehouse=EU-Central")).body).toMatchObject({
    quantity: 145,
    status: "in_stock",
  });
});

test("an unknown record is 404 with the reason", async () => {
  await using office = await start();
  expect(await office.get("/orders/ORD-9")).toEqual({ status: 404, body: { error: "No order ORD-9" } });
  expect(await office.get("/orders/%23W1%2F..")).toEqual({ status: 404, body: { error: "No order #W1/.." } });
  expect(await office.get("/nothing")).toEqual({ status: 404, body: { error: "Not found" } });
  expect((await office.get("/orders/%E0%A4%A")).status).toBe(400);
  expect((await office.get("/inventory/SKU-8842")).status).toBe(400);
});

test("any key is accepted, and a missing one", async () => {
  await using office = await start();
  const response = await fetch(`${office.base}/orders/ORD-1001`, { headers: { authorization: "Bearer whatever" } });
  expect(response.status).toBe(200);
});

test("a changed priority stays changed", async () => {
  await using office = await start();
  const changed = await office.patch("TCK-2001", { priority: "urgent" });
  expect(changed.body).toMatchObject({ id: "TCK-2001", priority: "urgent" });
  expect((await office.get("/tickets/TCK-2001")).body).toMatchObject({
    priority: "urgent",
    updates: [{ priority: "urgent", idempotency_key: null }],
  });
});

test("a change that repeats its idempotency key takes effect once", async () => {
  await using office = await start();
  const key = { "idempotency-key": "k-1" };
  const first = await office.patch("TCK-2001", { priority: "urgent" }, key);
  await office.patch("TCK-2001", { priority: "low" }, { "idempotency-key": "k-2" });
  const again = await office.patch("TCK-2001", { priority: "urgent" }, key);
  expect(again.body).toEqual(first.body);
  expect(again.headers.get("idempotent-replayed")).toBe("true");
  expect((await office.get("/tickets/TCK-2001")).body).toMatchObject({ priority: "low" });
  expect((await office.get("/_effects")).body).toMatchObject({ total: 2 });
});

test("a key that is reused for another change is refused, and so is an unknown priority", async () => {
  await using office = await start();
  const key = { "idempotency-key": "k-1" };
  await office.patch("TCK-2001", { priority: "urgent" }, key);
  expect((await office.patch("TCK-2001", { priority: "low" }, key)).status).toBe(422);
  expect((await office.patch("TCK-2001", { priority: "asap" })).status).toBe(422);
  expect((await office.patch("TCK-1", { priority: "low" })).status).toBe(404);
  expect((await office.get("/_effects")).body).toMatchObject({ total: 1 });
});
