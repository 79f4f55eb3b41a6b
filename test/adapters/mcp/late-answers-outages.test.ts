import { expect, test } from "vitest";
import { startReceiver } from "../../support/receiver.ts";
import { scratchFolder } from "../../support/scratch-folder.ts";
import { startProcess, testTool } from "../../support/service.ts";
import { endedTask, modern } from "./mcp-client.ts";

// Tasks whose process dies.

const key = "crm-key";
const env = { JACKFIELD_API_KEYS: "crm:crm-key,erp:erp-key" };

test(
  "a task and its effect survive kill -9, on whichever replica is asked afterwards",
  { timeout: 60_000 },
  async () => {
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    await using seats = await startReceiver(async ({ path }) => {
      await gate;
      return { body: { path } };
    });
    const options = {
      env,
      yaml: { adapters: { mcp: { taskAfterMs: 50 } } },
      plugins: [
        { use: testTool("nap") },
        { use: testTool("book"), config: { baseUrl: seats.url }, limits: { timeoutMs: 2000 } },
      ],
    };
    using data = scratchFolder("jackfield-task-data");
    const dataDir = data.path;
    await using before = await startProcess({ ...options, dataDir });
    await before.ready();
    const meta = { "jackfield/idempotencyKey": "survivor" };
    const call = { name: "book", arguments: { seat: "k" } };
    const started = await modern(before.url, "tools/call", call, { key, tasks: true, meta });
    const taskId = started.body.result?.["taskId"] as unknown as string;
    expect(taskId).toMatch(/^[\w-]{43}$/);
    await expect.poll(() => seats.received.length).toBe(1);
    before.child.kill("SIGKILL");
    await before.ended();
    release();
    await using after = await startProcess({ ...options, dataDir });
    await after.ready();
    // The effect of a write whose process died is unknown: the model is told so, and nothing is sent again.
    const task = await endedTask(after.url, key, taskId);
    expect(task).toMatchObject({
      status: "completed",
      result: { isError: true, _meta: { "jackfield/outcome": "UNCERTAIN", "jackfield/callId": "survivor" } },
    });
    const again = await modern(after.url, "tools/call", call, { key, tasks: true, meta });
    expect(again.body.result).toMatchObject({ _meta: { "jackfield/outcome": "UNCERTAIN" } });
    expect(seats.received).toHaveLength(1);
  },
);

test(
  "a task that is executed again after kill -9 sanitises its arguments as MCP does",
  { timeout: 60_000 },
  async () => {
    const gate = Promise.withResolvers<void>();
    await using seats = await startReceiver(async ({ path }) => {
      await gate.promise;
      return { body: { path } };
    });
    const options = {
      env,
      yaml: { adapters: { mcp: { taskAfterMs: 50, sanitize: "strict" } } },
      plugins: [{ use: testTool("look"), config: { baseUrl: seats.url }, limits: { timeoutMs: 20_000 } }],
    };
    using data = scratchFolder("jackfield-task-data");
    const dataDir = data.path;
    await using before = await startProcess({ ...options, dataDir });
    await before.ready();
    // The default for RPCs is `text`, which would not remove the brackets.
    const call = { name: "look", arguments: { seat: "<12>" } };
    const started = await modern(before.url, "tools/call", call, { key, tasks: true });
    const taskId = started.body.result?.["taskId"] as unknown as string;
    await expect.poll(() => seats.received.length).toBe(1);
    before.child.kill("SIGKILL");
    await before.ended();
    gate.resolve();
    await using after = await startProcess({ ...options, dataDir });
    await after.ready();
    expect(await endedTask(after.url, key, taskId)).toMatchObject({
      status: "completed",
      result: { structuredContent: {} },
    });
    expect(seats.received.map(({ path }) => path)).toEqual(["/seats/12", "/seats/12"]);
  },
);

test("a task whose caller no longer exists at its execution has failed", { timeout: 90_000 }, async () => {
  const options = {
    yaml: { adapters: { mcp: { taskAfterMs: 50 } } },
    plugins: [{ use: testTool("nap"), limits: { timeoutMs: 60_000 } }],
  };
  using data = scratchFolder("jackfield-task-data");
  const dataDir = data.path;
  await using before = await startProcess({ ...options, env, dataDir });
  await before.ready();
  const call = { name: "nap", arguments: { ms: 50_000 } };
  const started = await modern(before.url, "tools/call", call, { key, tasks: true });
  const taskId = started.body.result?.["taskId"] as unknown as string;
  before.child.kill("SIGKILL");
  await before.ended();
  await using without = await startProcess({ ...options, env: { JACKFIELD_API_KEYS: "erp:erp-key" }, dataDir });
  await without.ready();
  await expect.poll(() => without.stdout(), { timeout: 20_000 }).toContain("a job became a dead letter");
  without.child.kill("SIGKILL");
  await without.ended();
  await using after = await startProcess({ ...options, env, dataDir });
  await after.ready();
  const task = await endedTask(after.url, key, taskId);
  expect(task).toMatchObject({ resultType: "complete", taskId, status: "failed" });
  expect(task["error"]).toEqual({ code: -32603, message: "the caller crm is no longer configured" });
  expect(task).not.toHaveProperty("result");
});
