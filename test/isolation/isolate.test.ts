import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { scratchFolder } from "../support/scratch-folder.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { type IsolatedOptions, startDownstream, startWaitingDownstream, startIsolated } from "./start-isolated.ts";

const uncertain = "It is not known whether this request took effect. Do not repeat it; check first.";

describe.each(["worker", "process"] as const)("isolation: %s", (isolation) => {
  const start = (options: Omit<IsolatedOptions, "isolation"> = {}) => startIsolated({ isolation, ...options });

  testRequirement("002.5", "stops an endless loop at its deadline, and blocks nobody (hazard 40)", async () => {
    const app = await start({ timeoutMs: 2000 });
    const looping = app.call({ how: "loop" });
    expect(await app.call({}, "work")).toMatchObject({ outcome: "OK", output: "at once" });
    expect(await app.call({ how: "look" })).toMatchObject({ outcome: "OK" });
    expect(await looping).toMatchObject({ outcome: "TIMED_OUT" });
    expect(await app.call({ how: "look" })).toMatchObject({ outcome: "OK" });
  });

  test("answers the next call after an endless loop in the only isolate", async () => {
    const app = await start({ timeoutMs: 3000, isolates: 1 });
    expect(await app.call({ how: "loop" })).toMatchObject({ outcome: "TIMED_OUT" });
    expect(await app.call({ how: "look" })).toMatchObject({ outcome: "OK" });
  });

  const deaths = ["exit", "timer", "memory", "buffers", "send nonsense"];
  for (const how of [...deaths, ...(isolation === "process" ? ["abort", "segfault", "disconnect"] : [])]) {
    testRequirement(
      "002.5",
      `limits a crash (${how}) to its own call, and answers the next one (hazard 43)`,
      async () => {
        const app = await start({ memoryMb: 48, timeoutMs: 15_000 });
        const held = await startWaitingDownstream();
        const bystander = app.call({ how: "http", url: held.url });
        await held.requested;
        expect(await app.call({ how })).toMatchObject({
          outcome: "FAILED",
          output: "Tool execution failed or timed out.",
        });
        held.answer();
        expect(await bystander).toMatchObject({ outcome: "OK" });
        expect(await app.call({ how: "look" })).toMatchObject({ outcome: "OK" });
      },
      30_000,
    );
  }

  test("logs that a tool used too much memory", async () => {
    const app = await start({ memoryMb: 48, timeoutMs: 15_000 });
    await app.call({ how: "buffers" });
    expect(app.isolated.problem).toBeUndefined();
    expect(app.log.join()).toMatch(/it took more than \d+ MiB of memory/);
  });

  test("lets a tool cool down for half a minute after the fifth crash within a minute, and says so; no other call ends", async () => {
    let now = 0;
    const app = await start({ now: () => now, timeoutMs: 10_000 });
    const held = await startWaitingDownstream();
    const bystander = app.call({ how: "http", url: held.url });
    await held.requested;
    for (let times = 0; times < 5; times++) {
      expect(app.isolated.problem).toBeUndefined();
      expect(await app.call({ how: "exit" })).toMatchObject({ outcome: "FAILED" });
    }
    expect(app.isolated.problem).toBe("it crashed 5 times within a minute and is started again in 30 s");
    expect(await app.call({ how: "look" })).toMatchObject({
      outcome: "FAILED",
      output: "The tool unruly cannot work at present.",
    });
    expect((await app.registry.check()).notes).toEqual([expect.stringContaining("tool unruly: it crashed 5 times")]);
    held.answer();
    expect(await bystander).toMatchObject({ outcome: "OK" });
    now = 30_001;
    expect(await app.call({ how: "look" })).toMatchObject({ outcome: "OK" });
  }, 30_000);

  test("gives a tool its configuration and state, progress, logs, and the service's own HTTP", async () => {
    const url = await startDownstream((_, response) => response.end('{"from":"downstream"}'));
    const app = await start({ isolates: 1, timeoutMs: 10_000 });
    expect(await app.call({ how: "look" })).toMatchObject({ output: '{"config":{"flavour":"plain"},"calls":1}' });
    expect(await app.call({ how: "look" })).toMatchObject({ output: '{"config":{"flavour":"plain"},"calls":2}' });
    expect(await app.call({ how: "progress" })).toMatchObject({ output: "done", progress: ["half 0.5"] });
    expect(app.log.join()).toContain("half done");
    expect(await app.call({ how: "http", url })).toMatchObject({ outcome: "OK", output: '{"from":"downstream"}' });
    const refused = await app.call({ how: "http", url: "http://10.0.0.1/" });
    expect(refused.output).toContain("JACKFIELD_PRIVATE_ADDRESSES");
  });

  test("passes numbers that a double cannot hold to a downstream and back unchanged", async () => {
    const url = await startDownstream((request, response) => {
      if (request.method === "GET") response.end('{"order":12345678901234567890}');
      else request.pipe(response);
    });
    const app = await start({ timeoutMs: 10_000 });
    expect(await app.call({ how: "echo", url })).toMatchObject({ output: '{"order":12345678901234567890}' });
  });

  test("reports failures as without isolation", async () => {
    const app = await start({ timeoutMs: 10_000 });
    expect(await app.call({ how: "refuse" })).toMatchObject({ outcome: "FAILED", output: "There is no such order." });
    expect(await app.call({ how: "throw" })).toMatchObject({
      outcome: "FAILED",
      output: "Tool execution failed or timed out.",
    });
    expect(await app.call({ how: "circular" })).toMatchObject({ outcome: "INVALID_OUTPUT" });
    expect(await app.call({ how: "odd" })).toMatchObject({
      output: '{"map":{"a":"1"},"set":[1],"at":"1970-01-01T00:00:00.000Z"}',
    });
  });

  test("handles a thrown value that cannot be read like any other, and continues", async () => {
    const app = await start({ isolates: 1, timeoutMs: 10_000 });
    await app.call({ how: "look" });
    for (const how of ["throw a stack of 5", "throw an unreadable proxy"]) {
      expect(await app.call({ how })).toMatchObject({
        outcome: "FAILED",
        output: "Tool execution failed or timed out.",
      });
    }
    expect(await app.call({ how: "look" })).toMatchObject({ output: '{"config":{"flavour":"plain"},"calls":4}' });
  });

  test("logs an unhandled rejection without its message, and ends nothing", async () => {
    const app = await start({ isolates: 1, timeoutMs: 10_000 });
    expect(await app.call({ how: "leave a rejection behind" })).toMatchObject({ output: "done" });
    expect(await app.call({ how: "look" })).toMatchObject({ output: '{"config":{"flavour":"plain"},"calls":2}' });
    await vi.waitFor(() => expect(app.log.join()).toContain("unhandled rejection"));
    expect(app.log.join()).not.toContain("secret words");
  });

  test("does not let a loop that a call left behind affect the next call", async () => {
    const app = await start({ isolates: 1, timeoutMs: 10_000 });
    expect(await app.call({ how: "loop later" })).toMatchObject({ output: "done" });
    expect(await app.call({ how: "look" })).toMatchObject({ outcome: "OK" });
  });

  test("stops a flood of progress reports in an endless loop, but not one that is read in time", async () => {
    const app = await start({ timeoutMs: 5000 });
    const often = await app.call({ how: "report often" });
    expect(often.progress).toHaveLength(1000);
    const endless = await app.call({ how: "report without end" });
    expect(endless).toMatchObject({ outcome: "TIMED_OUT" });
    expect(endless.progress.length).toBeLessThanOrEqual(256);
  });

  test("keeps a tool that reacts to its signal", async () => {
    const app = await start({ isolates: 1, timeoutMs: 1000 });
    await app.call({ how: "look" });
    expect(await app.call({ how: "signal" })).toMatchObject({ outcome: "TIMED_OUT" });
    expect(await app.call({ how: "look" })).toMatchObject({ output: '{"config":{"flavour":"plain"},"calls":3}' });
  });

  test("closes a tool at the end, wherever it was opened", async () => {
    const folder = scratchFolder("jackfield-isolated");
    onTestFinished(() => folder[Symbol.dispose]());
    const file = join(folder.path, "closed");
    const app = await start({ config: { file }, isolates: 2, timeoutMs: 10_000 });
    const held = await startWaitingDownstream();
    const first = app.call({ how: "http", url: held.url });
    await held.requested;
    await app.call({ how: "look" });
    held.answer();
    await first;
    expect(existsSync(file)).toBe(false);
    await app.isolated.close();
    expect(readFileSync(file, "utf8")).toBe("closed\nclosed\n");
    await expect(app.isolated.ready()).rejects.toThrow("it is closed");
  });

  test("lists a tool that cannot be opened, gives the reason, and opens it when possible", async () => {
    const folder = scratchFolder("jackfield-isolated");
    onTestFinished(() => folder[Symbol.dispose]());
    const app = await start({ plugin: "closed", config: { folder: join(folder.path, "later") } });
    expect(app.isolated.problem).toBe("it cannot be opened: the database is away");
    expect(await app.call({})).toMatchObject({ outcome: "FAILED", output: "The tool closed cannot work at present." });
    expect((await app.registry.check()).notes).toEqual(["tool closed: it cannot be opened: the database is away"]);
    mkdirSync(join(folder.path, "later"));
    expect(await app.registry.check()).toEqual({ problems: [], notes: [] });
    expect(await app.call({})).toMatchObject({ outcome: "OK" });
  });

  test("gives a tool the environment that programs need, and no variable of the service", async () => {
    const app = await start({ timeoutMs: 10_000, env: { TZ: "UTC" } });
    expect(await app.call({ how: "env" })).toMatchObject({ output: '{"TZ":"UTC"}' });
  });

  test("reports a write that crashes as uncertain, even if it had only read before", async () => {
    const app = await start({ effect: "write", timeoutMs: 10_000 });
    const url = await startDownstream((_, response) => response.end("{}"));
    for (const args of [{ how: "exit" }, { how: "exit", url }]) {
      expect(await app.call(args)).toMatchObject({ outcome: "UNCERTAIN", output: uncertain });
    }
  });

  test("reports a write that loops forever as uncertain", async () => {
    const app = await start({ effect: "write", timeoutMs: 1500 });
    expect(await app.call({ how: "loop" })).toMatchObject({ outcome: "UNCERTAIN", output: uncertain });
  });

  test.each([
    [404, "FAILED", "External API returned 404: {}"],
    [500, "UNCERTAIN", uncertain],
    [0, "UNCERTAIN", uncertain],
  ])("reports a write whose request ends with %d as %s", async (status, outcome, output) => {
    const app = await start({ effect: "write", timeoutMs: 10_000 });
    const url = await startDownstream((_, response) => {
      if (status === 0) response.destroy();
      else response.writeHead(status).end("{}");
    });
    expect(await app.call({ how: "post", url })).toMatchObject({ outcome, output });
  });

  test("reports a write that is answered with something other than JSON as uncertain, and a read as failed", async () => {
    const url = await startDownstream((_, response) => response.end("<html>"));
    const write = await start({ effect: "write", timeoutMs: 10_000 });
    expect(await write.call({ how: "post", url })).toMatchObject({ outcome: "UNCERTAIN", output: uncertain });
    const read = await start({ timeoutMs: 10_000 });
    expect(await read.call({ how: "post", url })).toMatchObject({
      outcome: "FAILED",
      output: "External API answered something that is not JSON.",
    });
  });

  test("reports a write that was never started as failed", async () => {
    const app = await start({ plugin: "closed", effect: "write" });
    expect(await app.call({})).toMatchObject({ outcome: "FAILED", output: "The tool closed cannot work at present." });
  });
});
