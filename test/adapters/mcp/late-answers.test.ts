import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createJackfieldClient } from "../../../src/client.ts";
import { startReceiver, type Receiver } from "../../support/receiver.ts";
import { scratchFolder } from "../../support/scratch-folder.ts";
import { startService, testTool, type ServiceUnderTest } from "../../support/service.ts";
import { endedTask, modern, older } from "./mcp-client.ts";

// Calls that take longer than a client waits: tasks, rounds with requestState, the pending sentence.

const key = "crm-key";
const env = { JACKFIELD_API_KEYS: "crm:crm-key,erp:erp-key" };
const pending = "The request is still being processed. Do not repeat it.";
let office: Receiver;
let service: ServiceUnderTest;
let url: string;

beforeAll(async () => {
  office = await startReceiver(({ path }) => ({ body: { path } }));
  service = await startService({
    env,
    yaml: { adapters: { mcp: { taskAfterMs: 30, answerWithinMs: 40 } } },
    plugins: [{ use: testTool("nap") }, { use: testTool("book"), config: { baseUrl: office.url } }],
  });
  ({ url } = service);
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await office[Symbol.asyncDispose]();
});

const bookings = (seat: string) => office.received.filter(({ path }) => path === `/seats/${seat}`).length;

describe("a client that supports tasks", () => {
  test("gets a task, and through it the answer; the same key gets the same task, and one effect", async () => {
    const call = { name: "book", arguments: { seat: "t1", ms: 300 } };
    const options = { key, tasks: true, meta: { "jackfield/idempotencyKey": "order-1" } };
    const [first, second] = await Promise.all([
      modern(url, "tools/call", call, options),
      modern(url, "tools/call", call, options),
    ]);
    expect(first.body.result).toMatchObject({
      resultType: "task",
      taskId: expect.stringMatching(/^[\w-]{43}$/),
      status: "working",
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      lastUpdatedAt: expect.any(String),
      ttlMs: 86_400_000,
      pollIntervalMs: 1000,
    });
    const taskId = first.body.result?.["taskId"] as unknown as string;
    expect(second.body.result?.["taskId"]).toBe(taskId);
    expect(first.body.result?.["_meta"]).toMatchObject({ "jackfield/callId": "order-1" });
    const meta = { ...options.meta, "jackfield/conversationId": "another" };
    const elsewhere = await modern(url, "tools/call", call, { ...options, meta });
    expect(elsewhere.body.result?.["taskId"]).toBe(taskId);
    const task = await endedTask(url, key, taskId);
    expect(task).toMatchObject({
      resultType: "complete",
      status: "completed",
      result: {
        structuredContent: { path: "/seats/t1" },
        _meta: { "jackfield/callId": "order-1", "jackfield/outcome": "OK" },
      },
    });
    expect(bookings("t1")).toBe(1);
    const later = await modern(url, "tools/call", call, options);
    expect(later.body.result).toMatchObject({ resultType: "complete", _meta: { "jackfield/replayed": true } });
    expect(bookings("t1")).toBe(1);
  });

  test("gets a fast answer immediately; its tasks are jobs of the caller", async () => {
    const quick = await modern(url, "tools/call", { name: "nap", arguments: { ms: 1 } }, { key, tasks: true });
    expect(quick.body.result).toMatchObject({ resultType: "complete" });
    const started = await modern(url, "tools/call", { name: "nap", arguments: { ms: 200 } }, { key, tasks: true });
    const taskId = started.body.result?.["taskId"] as unknown as string;
    const listed = await createJackfieldClient({ baseUrl: url, apiKey: key }).jobs.getJob({ id: taskId });
    expect(listed.job?.source).toBe("crm");
  });

  test("cannot see other callers' tasks or unknown ones, and gets no tasks without the extension", async () => {
    const started = await modern(url, "tools/call", { name: "nap", arguments: { ms: 400 } }, { key, tasks: true });
    const taskId = started.body.result?.["taskId"] as unknown as string;
    for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
      const stranger = await modern(url, method, { taskId }, { key: "erp-key", tasks: true });
      expect(stranger.body.error).toEqual({ code: -32602, message: "Task not found" });
      const unknown = await modern(url, method, { taskId: "nothing" }, { key, tasks: true });
      expect(unknown.body.error).toEqual({ code: -32602, message: "Task not found" });
      const undeclared = await modern(url, method, { taskId }, { key });
      expect([undeclared.status, undeclared.body.error]).toMatchObject([
        400,
        { code: -32021, data: { requiredCapabilities: { extensions: { "io.modelcontextprotocol/tasks": {} } } } },
      ]);
      expect((await older(url, method, { taskId }, { key })).body.error?.code).toBe(-32601);
    }
    const cancelled = await modern(url, "tasks/cancel", { taskId }, { key, tasks: true });
    expect(cancelled.body.result).toEqual({ resultType: "complete", _meta: expect.anything() });
    expect((await endedTask(url, key, taskId))["status"]).toBe("completed");
    const again = await modern(url, "tasks/cancel", { taskId }, { key, tasks: true });
    expect(again.body.result).toEqual({ resultType: "complete", _meta: expect.anything() });
  });

  test("gets its own call and task even if another caller uses the same key", async () => {
    const call = { name: "book", arguments: { seat: "t2", ms: 200 } };
    const meta = { "jackfield/idempotencyKey": "same" };
    const tasks = await Promise.all(
      ["crm-key", "erp-key"].map(async (own) => {
        const { body } = await modern(url, "tools/call", call, { key: own, tasks: true, meta });
        return body.result?.["taskId"] as unknown as string;
      }),
    );
    expect(new Set(tasks).size).toBe(2);
    await endedTask(url, "crm-key", tasks[0] ?? "");
    await endedTask(url, "erp-key", tasks[1] ?? "");
    expect(bookings("t2")).toBe(2);
  });
});

describe("a modern client without tasks", () => {
  test("continues waiting with requestState, with one effect", async () => {
    const call = { name: "book", arguments: { seat: "r1", ms: 150 } };
    let { body } = await modern(url, "tools/call", call, { key });
    let rounds = 1;
    while (String(body.result?.["resultType"]) === "input_required") {
      expect(Object.keys(body.result ?? {}).sort()).toEqual(["_meta", "requestState", "resultType"]);
      ({ body } = await modern(url, "tools/call", { ...call, requestState: body.result?.["requestState"] }, { key }));
      rounds += 1;
    }
    expect(rounds).toBeGreaterThan(2);
    expect(body.result).toMatchObject({ resultType: "complete", structuredContent: { path: "/seats/r1" } });
    expect(bookings("r1")).toBe(1);
  });

  test("gets the pending sentence after eight rounds", async () => {
    const call = { name: "book", arguments: { seat: "r2", ms: 2000 } };
    let { body } = await modern(url, "tools/call", call, { key });
    for (let round = 1; round < 8; round += 1) {
      expect(body.result?.["resultType"]).toBe("input_required");
      ({ body } = await modern(url, "tools/call", { ...call, requestState: body.result?.["requestState"] }, { key }));
    }
    expect(body.result).toMatchObject({
      isError: true,
      content: [{ type: "text", text: pending }],
      _meta: { "jackfield/outcome": "PENDING" },
    });
  });

  test("cannot forge, change or share a state, or use it for another tool", async () => {
    const call = { name: "nap", arguments: { ms: 600 } };
    const { body } = await modern(url, "tools/call", call, { key });
    const state = body.result?.["requestState"] as unknown as string;
    const flipped = `${state.slice(0, -1)}${state.endsWith("A") ? "B" : "A"}`;
    const [mark, payload, signature] = state.split(".");
    const forged = [mark, Buffer.from('[1,"another"]').toString("base64url"), signature].join(".");
    for (const requestState of [
      "",
      "x",
      7,
      {},
      flipped,
      forged,
      `${mark}.${payload}`,
      `${state}.x`,
      `${mark}.${payload}.${"é".repeat(43)}`,
    ]) {
      const refused = await modern(url, "tools/call", { ...call, requestState }, { key });
      expect([requestState, refused.body.error]).toEqual([
        requestState,
        { code: -32602, message: "Invalid requestState" },
      ]);
    }
    const stranger = await modern(url, "tools/call", { ...call, requestState: state }, { key: "erp-key" });
    expect(stranger.body.error?.message).toBe("Invalid requestState");
    const other = { name: "book", arguments: { seat: "r3" }, requestState: state };
    expect((await modern(url, "tools/call", other, { key })).body.error?.message).toBe("Invalid requestState");
    const changed = await modern(
      url,
      "tools/call",
      { name: "nap", arguments: { ms: 601 }, requestState: state },
      { key },
    );
    expect(changed.body.result).toMatchObject({ _meta: { "jackfield/outcome": "CONFLICT" } });
  });
});

test("an older client gets the pending sentence in time, and finds the answer later by its key", async () => {
  const call = { name: "book", arguments: { seat: "o1", ms: 200 } };
  const headers = { "idempotency-key": "o-1" };
  const { body } = await older(url, "tools/call", call, { key, headers });
  expect(body.result).toMatchObject({ isError: true, content: [{ text: pending }] });
  await expect
    .poll(async () => (await older(url, "tools/call", call, { key, headers })).body.result)
    .toMatchObject({ structuredContent: { path: "/seats/o1" } });
  expect(bookings("o1")).toBe(1);
});

test("a client that disconnects cancels a read, but not a write", async () => {
  await using seats = await startReceiver(() => new Promise((resolve) => setTimeout(() => resolve({}), 150)));
  await using patient = await startService({
    plugins: [{ use: testTool("nap") }, { use: testTool("book"), config: { baseUrl: seats.url } }],
  });
  const gone = new AbortController();
  const headers = { "idempotency-key": "gone" };
  const write = older(
    patient.url,
    "tools/call",
    { name: "book", arguments: { seat: "g" } },
    { headers, signal: gone.signal },
  );
  const read = older(patient.url, "tools/call", { name: "nap", arguments: { ms: 60_000 } }, { signal: gone.signal });
  await expect.poll(() => seats.received.length).toBe(1);
  gone.abort();
  await Promise.allSettled([write, read]);
  const found = await older(patient.url, "tools/call", { name: "book", arguments: { seat: "g" } }, { headers });
  expect(found.body.result).not.toHaveProperty("isError");
  expect(seats.received).toHaveLength(1);
  // Its slot is free again: the read was cancelled long before the end of its minute.
  await expect
    .poll(async () => await (await fetch(`${patient.url}/metrics`)).text())
    .toMatch(/nap.*cancelled|cancelled.*nap/i);
});

test(
  "a client continues waiting after a restart with other keys, and nobody can forge its requestState",
  { timeout: 90_000 },
  async () => {
    using data = scratchFolder("jackfield-state-data");
    const options = {
      yaml: { adapters: { mcp: { answerWithinMs: 20 } } },
      plugins: [{ use: testTool("nap") }],
      dataDir: data.path,
    };
    const call = { name: "nap", arguments: { ms: 2000 } };
    const asked = async (keys: string, state?: string) => {
      await using one = await startService({ ...options, env: { JACKFIELD_API_KEYS: keys } });
      const requestState = state === undefined ? {} : { requestState: state };
      return (await modern(one.url, "tools/call", { ...call, ...requestState }, { key: keys.slice(4) })).body;
    };
    const state = String((await asked("crm:crm-key")).result?.["requestState"]);
    expect(state).toMatch(/^jf1\./);
    expect((await asked("crm:another-key", state)).result).toMatchObject({ resultType: "input_required" });
    using elsewhere = scratchFolder("jackfield-state-data");
    await using stranger = await startService({ ...options, dataDir: elsewhere.path, env });
    const { error } = (await modern(stranger.url, "tools/call", { ...call, requestState: state }, { key })).body;
    expect(error).toEqual({ code: -32602, message: "Invalid requestState" });
  },
);
