import { expect, test } from "vitest";
import { startSandbox } from "../../src/sandbox/sandbox.ts";

async function start() {
  const sandbox = await startSandbox({ parts: { backOffice: true } });
  const base = sandbox.backOfficeUrl ?? "";
  return {
    get: (path: string, fault?: string) =>
      fetch(base + path, fault === undefined ? {} : { headers: { "sandbox-fault": fault } }),
    send: (method: string, path: string, body: unknown, headers: Record<string, string> = {}) =>
      fetch(base + path, {
        method,
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
      }),
    [Symbol.asyncDispose]: () => sandbox.close(),
  };
}

test("a request can ask for a status and for Retry-After in seconds", async () => {
  await using sandbox = await start();
  const response = await sandbox.get("/orders/ORD-1001", "status=429; retry-after=1");
  expect(response.status).toBe(429);
  expect(response.headers.get("retry-after")).toBe("1");
});

test("Retry-After can be an HTTP date in the future", async () => {
  await using sandbox = await start();
  const before = Date.now();
  const response = await sandbox.get("/orders/ORD-1001", "status=429; retry-after-date=5");
  const date = response.headers.get("retry-after") ?? "";
  expect(date).toMatch(/ GMT$/);
  expect(Date.parse(date) - before).toBeGreaterThanOrEqual(4000);
  expect(Date.parse(date) - before).toBeLessThanOrEqual(60_000);
});

test("a fault with times=2 affects two requests, and the third one is answered", async () => {
  await using sandbox = await start();
  const statuses = [];
  for (let request = 0; request < 4; request += 1) {
    statuses.push((await sandbox.get("/orders/ORD-1001", "status=503; times=2")).status);
  }
  expect(statuses).toEqual([503, 503, 200, 503]);
});

test("a delayed answer is late", async () => {
  await using sandbox = await start();
  const order: string[] = [];
  const late = sandbox.get("/orders/ORD-1001", "delay=1000").then(({ status }) => order.push(`late ${status}`));
  const prompt = sandbox.get("/orders/ORD-1001").then(({ status }) => order.push(`prompt ${status}`));
  await Promise.all([late, prompt]);
  expect(order).toEqual(["prompt 200", "late 200"]);
});

test("a cut answer breaks in the middle, after the work was done", async () => {
  await using sandbox = await start();
  const headers = { "sandbox-fault": "cut", "idempotency-key": "k-1" };
  const cut = sandbox
    .send("PATCH", "/tickets/TCK-2001", { priority: "urgent" }, headers)
    .then((response) => response.text());
  await expect(cut).rejects.toThrow(TypeError);
  expect(await (await sandbox.get("/_effects")).json()).toMatchObject({ total: 1 });
});

test("a planned fault affects only the next requests with its path and method", async () => {
  await using sandbox = await start();
  const planned = await sandbox.send("POST", "/_faults", { path: "/orders/*", method: "get", status: 500, times: 2 });
  expect(planned.status).toBe(201);
  expect((await sandbox.get("/customers/CUST-3001/balance")).status).toBe(200);
  expect((await sandbox.get("/orders/ORD-1001")).status).toBe(500);
  expect((await sandbox.get("/orders/ORD-1002")).status).toBe(500);
  expect((await sandbox.get("/orders/ORD-1001")).status).toBe(200);
  expect(await (await sandbox.get("/_faults")).json()).toEqual({ faults: [] });
});

test("planned faults can be removed", async () => {
  await using sandbox = await start();
  await sandbox.send("POST", "/_faults", { path: "/orders/*", status: 500, times: 100 });
  await sandbox.send("DELETE", "/_faults", undefined);
  expect((await sandbox.get("/orders/ORD-1001")).status).toBe(200);
});

test("an invalid fault is refused with a message", async () => {
  await using sandbox = await start();
  const named = await sandbox.get("/orders/ORD-1001", "slow=1");
  expect(named.status).toBe(400);
  expect(await named.json()).toEqual({
    error: "there is no fault slow: use delay, status, retry-after, retry-after-date, times, cut",
  });
  for (const body of [null, [], {}, { path: "orders" }, { path: "/x", status: "many" }, { path: "/x", times: 0 }]) {
    expect((await sandbox.send("POST", "/_faults", body)).status).toBe(400);
  }
});
