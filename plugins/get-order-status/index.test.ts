import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { startSandbox, startTool } from "jackfield/testing";
import { expect, test } from "vitest";
import getOrderStatus from "./index.ts";

async function withSandbox(config: { apiKey?: string } = {}) {
  const sandbox = await startSandbox({ parts: { backOffice: true } });
  const baseUrl = sandbox.backOfficeUrl ?? "";
  const tool = await startTool(getOrderStatus, { config: { baseUrl, ...config } });
  return {
    tool,
    async [Symbol.asyncDispose]() {
      await tool[Symbol.asyncDispose]();
      await sandbox.close();
    },
  };
}

/** A downstream that always gives the same answer and records its requests. */
async function startDownstream(answer: unknown) {
  const requests: { url: string | undefined; authorization: string | undefined }[] = [];
  const server = createServer((request, response) => {
    requests.push({ url: request.url, authorization: request.headers.authorization });
    response.setHeader("content-type", "application/json").end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    requests,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("returns an order with its status and delivery date", async () => {
  await using running = await withSandbox();
  const result = await running.tool.call({ order_id: "ORD-1001" });
  expect(result.outcome).toBe("OK");
  expect(result.output).toBe('{"order_id":"ORD-1001","status":"shipped","estimated_delivery":"2026-12-04"}');
});

test("returns conversation and session if there are any", async () => {
  await using running = await withSandbox();
  const result = await running.tool.call({ order_id: "ORD-1001" }, { conversationId: "conv-1", sessionId: "sess-1" });
  expect(result.output).toBe(
    '{"order_id":"ORD-1001","status":"shipped","estimated_delivery":"2026-12-04","conversation_id":"conv-1","session_id":"sess-1"}',
  );
});

test("finds an id that contains a #", async () => {
  await using running = await withSandbox();
  const result = await running.tool.call({ order_id: "#W2378156" });
  expect(result.value).toEqual({ order_id: "#W2378156", status: "out_for_delivery", estimated_delivery: "2026-12-01" });
});

test("reports an unknown order with the order system's message", async () => {
  await using running = await withSandbox();
  const result = await running.tool.call({ order_id: "ORD-9" });
  expect(result.outcome).toBe("FAILED");
  expect(result.output).toBe('External API returned 404: {"error":"No order ORD-9"}');
});

test("refuses an id of 65 characters, an empty one and an extra property", async () => {
  await using running = await withSandbox();
  for (const args of [{ order_id: "x".repeat(65) }, { order_id: "" }, {}, { order_id: "ORD-1001", more: 1 }]) {
    const result = await running.tool.call(args);
    expect(result.outcome).toBe("INVALID_ARGUMENTS");
  }
});

test("encodes any id as one segment of the path (hazard 55)", async () => {
  await using downstream = await startDownstream({ id: "x", status: "shipped", estimated_delivery: "2026-12-04" });
  await using tool = await startTool(getOrderStatus, { config: { baseUrl: `${downstream.url}/api/` } });
  await tool.call({ order_id: "../../admin?x=1#%2f" });
  expect(downstream.requests).toEqual([
    { url: "/api/orders/..%2F..%2Fadmin%3Fx%3D1%23%252f", authorization: undefined },
  ]);
  const dots = await tool.call({ order_id: ".." });
  expect(dots.outcome).toBe("FAILED");
  expect(downstream.requests).toHaveLength(1);
});

test("sends the key as bearer token", async () => {
  await using downstream = await startDownstream({ id: "x", status: "shipped", estimated_delivery: "2026-12-04" });
  await using tool = await startTool(getOrderStatus, { config: { baseUrl: downstream.url, apiKey: "k-1" } });
  await tool.call({ order_id: "x" });
  expect(downstream.requests[0]?.authorization).toBe("Bearer k-1");
});

test("reports an answer that is not an order", async () => {
  for (const answer of [{}, [], null, "shipped", { id: "x" }, { id: 7, status: "shipped" }]) {
    await using downstream = await startDownstream(answer);
    await using tool = await startTool(getOrderStatus, { config: { baseUrl: downstream.url } });
    const result = await tool.call({ order_id: "x" });
    expect(result.outcome).toBe("FAILED");
    expect(result.output).toBe("The order system gave an answer without the order's id and status.");
  }
});
