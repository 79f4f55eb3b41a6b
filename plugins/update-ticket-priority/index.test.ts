import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { ExecutionContext, ToolHttp } from "jackfield/plugin";
import { startSandbox, startTool } from "jackfield/testing";
import { expect, test } from "vitest";
import updateTicketPriority from "./index.ts";

async function start() {
  const sandbox = await startSandbox({ parts: { backOffice: true } });
  const baseUrl = sandbox.backOfficeUrl ?? "";
  const tool = await startTool(updateTicketPriority, { config: { baseUrl } });
  return {
    call: tool.call,
    baseUrl,
    get: async (path: string): Promise<unknown> => (await fetch(baseUrl + path)).json(),
    async [Symbol.asyncDispose]() {
      await tool[Symbol.asyncDispose]();
      await sandbox.close();
    },
  };
}

test("changes the priority in the ticket system", async () => {
  await using tool = await start();
  const before = (await tool.get("/tickets/TCK-2001")) as { status: string };
  const result = await tool.call({ ticket_id: "TCK-2001", priority: "urgent" });
  expect(result.outcome).toBe("OK");
  expect(result.output).toBe(`{"ticket_id":"TCK-2001","priority":"urgent","status":"${before.status}"}`);
  expect(await tool.get("/tickets/TCK-2001")).toMatchObject({ priority: "urgent" });
});

test("sends an idempotency key with the change", async () => {
  await using tool = await start();
  await tool.call({ ticket_id: "TCK-2001", priority: "low" }, { callId: "call-1", conversationId: "conv-1" });
  expect(await tool.get("/_effects")).toEqual({
    total: 1,
    effects: [{ ticket_id: "TCK-2001", priority: "low", idempotency_key: expect.stringMatching(/^.+$/) as string }],
  });
});

test("changes nothing for the same call again", async () => {
  await using tool = await start();
  const ids = { callId: "call-1", conversationId: "conv-1" };
  const first = await tool.call({ ticket_id: "TCK-2002", priority: "high" }, ids);
  const second = await tool.call({ ticket_id: "TCK-2002", priority: "high" }, ids);
  expect(second.output).toBe(first.output);
  expect(await tool.get("/_effects")).toMatchObject({ total: 1 });
});

test("refuses an unknown priority before sending anything", async () => {
  await using tool = await start();
  const result = await tool.call({ ticket_id: "TCK-2001", priority: "asap" });
  expect(result.outcome).toBe("INVALID_ARGUMENTS");
  expect(await tool.get("/_effects")).toEqual({ total: 0, effects: [] });
});

test("reports an unknown ticket with the ticket system's message", async () => {
  await using tool = await start();
  const result = await tool.call({ ticket_id: "TCK-1", priority: "low" });
  expect(result.outcome).toBe("FAILED");
  expect(result.output).toBe('External API returned 404: {"error":"No ticket TCK-1"}');
});

const http: ToolHttp = async (url, { method = "GET" } = {}) => {
  const response = await fetch(url, { method });
  const text = await response.text();
  return { status: response.status, headers: {}, text: () => text, json: () => JSON.parse(text) };
};

const minuteMs = 60_000;

/** Reconciles a change that started so long ago, as the service does when the outcome is unknown. */
async function reconcile(
  baseUrl: string,
  priority: "low" | "urgent",
  idempotencyKey: string,
  elapsedMs: number,
): Promise<unknown> {
  const never = (): never => {
    throw new Error("not needed to reconcile");
  };
  const context: ExecutionContext<{ readonly baseUrl: string }, undefined> = {
    http,
    signal: new AbortController().signal,
    callId: "call-1",
    idempotencyKey,
    conversationId: undefined,
    sessionId: undefined,
    source: "test",
    progress: never,
    log: { debug: never, info: never, warn: never, error: never },
    config: { baseUrl },
    state: undefined,
  };
  const startedAt = new Date(Date.now() - elapsedMs);
  return updateTicketPriority.reconcile?.(
    { args: { ticket_id: "TCK-2001", priority }, callId: "call-1", idempotencyKey, startedAt },
    context,
  );
}

const patch = (baseUrl: string, idempotencyKey: string): Promise<Response> =>
  fetch(`${baseUrl}/tickets/TCK-2001`, {
    method: "PATCH",
    headers: { "idempotency-key": idempotencyKey },
    body: JSON.stringify({ priority: "urgent" }),
  });

test("reconciles a change as done if the ticket lists its key, and as not done if it can no longer arrive", async () => {
  await using tool = await start();
  await patch(tool.baseUrl, "k-1");
  const { status } = (await tool.get("/tickets/TCK-2001")) as { status: string };
  const done = { result: { ticket_id: "TCK-2001", priority: "urgent", status } };
  expect(await reconcile(tool.baseUrl, "urgent", "k-1", 0)).toEqual(done);
  expect(await reconcile(tool.baseUrl, "urgent", "k-2", 2 * minuteMs)).toBe("not-done");
  expect(await tool.get("/_effects")).toMatchObject({ total: 1 });
});

test("waits for a change that may still be in progress", async () => {
  await using tool = await start();
  const reconciled = reconcile(tool.baseUrl, "urgent", "k-1", 10);
  setTimeout(() => void patch(tool.baseUrl, "k-1"), 500);
  expect(await reconciled).toMatchObject({ result: { priority: "urgent" } });
});

test("leaves a change unknown that has not arrived but still could", async () => {
  await using tool = await start();
  expect(await reconcile(tool.baseUrl, "urgent", "k-1", 10)).toBe("unknown");
});

test("leaves a ticket without its list of updates unknown, even with the wanted priority", async () => {
  const server = createServer((_request, response) =>
    response.end('{"id":"TCK-2001","priority":"urgent","status":"open"}'),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  expect(await reconcile(`http://127.0.0.1:${port}`, "urgent", "k-1", 2 * minuteMs)).toBe("unknown");
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
