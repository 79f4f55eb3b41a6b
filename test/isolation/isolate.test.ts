import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { pino } from "pino";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { createExecutor } from "../../src/executor/executor.ts";
import { createMemoryLedger } from "../../src/ledger/drivers/memory.ts";
import { createOutbound } from "../../src/outbound/outbound.ts";
import type { Effect, Tool } from "../../src/plugin/tool.ts";
import { compileTool } from "../../src/registry/compile-tool.ts";
import { createRegistry } from "../../src/registry/create-registry.ts";
import { isolateTool, type IsolationOptions } from "../../src/isolation/isolate.ts";
import { createSilentTelemetry } from "../../src/telemetry/silent.ts";
import { aCall, aTool, outcomeOf, within } from "../support/executor.ts";
import { verifies } from "../support/verifies.ts";

/** A pipeline with one isolated plugin, and one tool that runs here. */
async function start(
  options: Partial<IsolationOptions> & {
    plugin?: string;
    timeoutMs?: number;
    effect?: Effect;
    config?: Record<string, unknown>;
  } = {},
) {
  const { plugin = "unruly", timeoutMs, effect = "read", config = { flavour: "plain" }, ...rest } = options;
  const url = pathToFileURL(join(import.meta.dirname, "plugins", `${plugin}.ts`)).href;
  const { default: declared } = (await import(url)) as { default: Tool };
  const definition: Tool = { ...declared, effect };
  const settings = {
    config,
    secretPaths: [],
    limits: timeoutMs === undefined ? {} : { timeoutMs },
    sanitize: undefined,
    isolation: "worker" as const,
    required: false,
    repeatWindowMs: undefined,
  };
  const origin = { use: plugin, version: "1", bundled: false };
  const log: string[] = [];
  const telemetry = {
    ...createSilentTelemetry(),
    log: pino({ level: "debug" }, { write: (line: string) => void log.push(line) }),
  };
  const registry = createRegistry();
  const isolated = await isolateTool(compileTool(definition, settings, origin), { url, ...rest });
  registry.put(isolated);
  registry.put(
    compileTool(aTool({ execute: () => "at once" }), { ...settings, isolation: "none", limits: {} }, origin),
  );
  const outbound = createOutbound({
    downstreamBytes: 2_097_152,
    privateAddresses: ["127.0.0.1"],
    telemetry,
    version: "test",
  });
  const ledger = createMemoryLedger();
  const executor = createExecutor({
    registry,
    ledger,
    outbound,
    telemetry,
    limits: { argumentsBytes: 262_144, depth: 32, outputBytes: 65_536 },
    recentEntries: 1000,
  });
  onTestFinished(async () => {
    await executor.drain(AbortSignal.timeout(100));
    await registry.close();
    await outbound.close();
    await ledger.close();
  });
  let count = 0;
  return {
    isolated,
    registry,
    log,
    async call(args: object, name = plugin) {
      const progress: string[] = [];
      const from = performance.now();
      const request = within("conversation-1", {
        onProgress: ({ message, fraction }) => void progress.push(`${message} ${fraction}`),
      });
      const result = await executor.execute(aCall(args, { id: `call-${++count}`, name }), request);
      return { outcome: outcomeOf(result), output: result.output, progress, ms: performance.now() - from };
    },
  };
}

describe("an isolated plugin", () => {
  verifies("002.5", "that loops without end is stopped at its deadline, and blocks nobody (hazard 40)", async () => {
    const app = await start({ timeoutMs: 2000 });
    const looping = app.call({ how: "loop" });
    expect(await app.call({}, "work")).toMatchObject({ outcome: "OK", output: "at once" });
    expect(await app.call({ how: "look" })).toMatchObject({ outcome: "OK" });
    expect(await looping).toMatchObject({ outcome: "TIMED_OUT" });
    expect(await app.call({ how: "look" })).toMatchObject({ outcome: "OK" });
  });

  test("leaves no thread behind that loops without end", async () => {
    const app = await start({ timeoutMs: 1000, threads: 1 });
    expect(await app.call({ how: "loop" })).toMatchObject({ outcome: "TIMED_OUT" });
    // The only thread was looping: another one answers.
    let last = "";
    for (let tries = 0; tries < 20 && last !== "OK"; tries++) last = (await app.call({ how: "look" })).outcome;
    expect(last).toBe("OK");
  });

  for (const how of ["exit", "timer", "memory"]) {
    verifies(
      "002.5",
      `that ends its thread (${how}) has failed its call, and works again (hazard 43)`,
      async () => {
        const app = await start({ memoryMb: 32, timeoutMs: 15_000 });
        const bystander = app.call({}, "work");
        expect(await app.call({ how })).toMatchObject({
          outcome: "FAILED",
          output: "Tool execution failed or timed out.",
        });
        expect(await bystander).toMatchObject({ outcome: "OK" });
        expect(await app.call({ how: "look" })).toMatchObject({ outcome: "OK" });
      },
      30_000,
    );
  }

  test("that crashes five times within a minute rests for half a minute, and says so", async () => {
    let now = 0;
    const app = await start({ now: () => now, timeoutMs: 10_000 });
    for (let times = 0; times < 5; times++) {
      expect(app.isolated.fault).toBeUndefined();
      expect(await app.call({ how: "exit" })).toMatchObject({ outcome: "FAILED" });
    }
    expect(app.isolated.fault).toBe("it crashed 5 times within a minute and is started again in 30 s");
    expect(await app.call({ how: "look" })).toMatchObject({
      outcome: "FAILED",
      output: "The tool unruly cannot work at present.",
    });
    expect((await app.registry.check()).notes).toEqual([expect.stringContaining("tool unruly: it crashed 5 times")]);
    now = 30_001;
    expect(await app.call({ how: "look" })).toMatchObject({ outcome: "OK" });
  }, 30_000);

  test("has its configuration and state, reports, logs, and asks downstreams through the process's own HTTP", async () => {
    const server = createServer((_, response) => response.end('{"from":"downstream"}'));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const app = await start({ threads: 1, timeoutMs: 10_000 });
    expect(await app.call({ how: "look" })).toMatchObject({ output: '{"config":{"flavour":"plain"},"calls":1}' });
    expect(await app.call({ how: "look" })).toMatchObject({ output: '{"config":{"flavour":"plain"},"calls":2}' });
    expect(await app.call({ how: "progress" })).toMatchObject({ output: "done", progress: ["half 0.5"] });
    expect(app.log.join()).toContain("half done");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    expect(await app.call({ how: "http", url })).toMatchObject({ outcome: "OK", output: '{"from":"downstream"}' });
    const refused = await app.call({ how: "http", url: "http://10.0.0.1/" });
    expect(refused.output).toContain("JACKFIELD_PRIVATE_ADDRESSES");
  });

  test("fails as one that is not isolated does", async () => {
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

  test("that heeds its signal keeps its thread", async () => {
    const app = await start({ threads: 1, timeoutMs: 400 });
    await app.call({ how: "look" });
    expect(await app.call({ how: "signal" })).toMatchObject({ outcome: "TIMED_OUT" });
    expect(await app.call({ how: "look" })).toMatchObject({ output: '{"config":{"flavour":"plain"},"calls":3}' });
  });

  test("is closed at the end, in every thread in which it was opened", async () => {
    const name = randomUUID();
    const channel = new BroadcastChannel(name);
    onTestFinished(() => channel.close());
    let closed = 0;
    channel.addEventListener("message", () => void closed++);
    const app = await start({ config: { channel: name }, timeoutMs: 10_000 });
    await Promise.all([app.call({ how: "look" }), app.call({ how: "look" })]);
    await app.isolated.close();
    await vi.waitFor(() => expect(closed).toBeGreaterThan(0));
    await expect(app.isolated.ready()).rejects.toThrow("it is closed");
  });

  test("that cannot be opened is there all the same, and says why", async () => {
    const app = await start({ plugin: "closed" });
    expect(app.isolated.fault).toBe("it cannot be opened: the database is away");
    expect(await app.call({})).toMatchObject({ outcome: "FAILED", output: "The tool closed cannot work at present." });
  });
});

describe("an isolated write", () => {
  const uncertain = "It is not known whether this request took effect. Do not repeat it; check first.";

  /** A downstream that answers with this status; 0 hangs up. */
  async function startApi(status: number): Promise<string> {
    const server = createServer((_, response) => {
      if (status === 0) response.destroy();
      else response.writeHead(status).end("{}");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  test("whose worker dies is uncertain, also where it had only read before", async () => {
    const app = await start({ effect: "write", timeoutMs: 10_000 });
    const url = await startApi(200);
    for (const args of [{ how: "exit" }, { how: "exit", url }]) {
      expect(await app.call(args)).toMatchObject({ outcome: "UNCERTAIN", output: uncertain });
    }
  });

  test.each([
    [404, "FAILED", "External API returned 404: {}"],
    [500, "UNCERTAIN", uncertain],
    [0, "UNCERTAIN", uncertain],
  ])("whose request ends with %d is %s", async (status, outcome, output) => {
    const app = await start({ effect: "write", timeoutMs: 10_000 });
    expect(await app.call({ how: "post", url: await startApi(status) })).toMatchObject({ outcome, output });
  });

  test("that was never started has failed", async () => {
    const app = await start({ plugin: "closed", effect: "write" });
    expect(await app.call({})).toMatchObject({ outcome: "FAILED", output: "The tool closed cannot work at present." });
  });
});

test("an isolated plugin that throws what cannot be read fails like any other, and its worker lives", async () => {
  const app = await start({ threads: 1, timeoutMs: 10_000 });
  await app.call({ how: "look" });
  for (const how of ["throw a stack of 5", "throw an unreadable proxy"]) {
    expect(await app.call({ how })).toMatchObject({
      outcome: "FAILED",
      output: "Tool execution failed or timed out.",
    });
  }
  expect(await app.call({ how: "look" })).toMatchObject({ output: '{"config":{"flavour":"plain"},"calls":4}' });
});
