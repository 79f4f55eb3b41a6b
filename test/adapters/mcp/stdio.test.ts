import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { freePort } from "../../support/free-port.ts";
import { startReceiver } from "../../support/receiver.ts";
import { scratchFolder } from "../../support/scratch-folder.ts";
import { startService, testTool } from "../../support/service.ts";
import { startFixtureService } from "./fixture-service.ts";
import { modernMessage } from "./mcp-client.ts";

const program = join(import.meta.dirname, "../../../src/main.ts");

interface Line {
  readonly id?: unknown;
  readonly method?: string;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly code: number; readonly message: string };
}

/** Starts `jackfield mcp`. */
async function startLines(args: readonly string[], plugins: readonly object[] = []) {
  const folder = scratchFolder("jackfield-stdio");
  const config = join(folder.path, "jackfield.yaml");
  writeFileSync(config, JSON.stringify({ plugins }));
  const child = spawn(process.execPath, ["--conditions=@jackfield/source", program, ...args], {
    cwd: folder.path,
    env: { PATH: process.env["PATH"] ?? "", JACKFIELD_CONFIG: config, JACKFIELD_DATA_DIR: join(folder.path, "data") },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const raw: string[] = [];
  const lines: Line[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    raw.push(line);
    lines.push(JSON.parse(line) as Line);
  });
  let err = "";
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const closed = once(child, "close").then(([code]: unknown[]) => code);
  return {
    lines,
    stderr: () => err,
    send: (message: object | string) =>
      void child.stdin.write(`${typeof message === "string" ? message : JSON.stringify(message)}\n`),
    answerTo: async (id: unknown) =>
      await expect
        .poll(() => lines.find((line) => line.id === id), { timeout: 15_000 })
        .toBeDefined()
        .then(() => lines.find((line) => line.id === id) as Line),
    async end() {
      child.stdin.end();
      return await closed;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null) child.kill("SIGKILL");
      await closed;
      folder[Symbol.dispose]();
    },
  };
}

const call = (id: unknown, name: string, args: object, meta?: object) => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name, arguments: args, ...(meta !== undefined && { _meta: meta }) },
});

test(
  "serves its own tools, one message per line, in both eras, and writes nothing else to stdout",
  { timeout: 60_000 },
  async () => {
    await using seats = await startReceiver(() => new Promise((resolve) => setTimeout(() => resolve({}), 400)));
    await using host = await startLines(
      ["mcp"],
      [{ use: testTool("nap") }, { use: testTool("echo") }, { use: testTool("book"), config: { baseUrl: seats.url } }],
    );
    host.send({ jsonrpc: "2.0", id: "first", method: "initialize", params: { protocolVersion: "2025-03-26" } });
    host.send({ jsonrpc: "2.0", method: "notifications/initialized" });
    expect((await host.answerTo("first")).result).toMatchObject({ protocolVersion: "2025-03-26" });
    host.send(call("slow", "nap", { ms: 60_000, report: true }, { progressToken: "p" }));
    host.send(call("quick", "echo", { a: 1 }));
    expect((await host.answerTo("quick")).result).toMatchObject({
      structuredContent: { args: { a: 1 }, source: "local" },
    });
    await expect.poll(() => host.lines.some(({ method }) => method === "notifications/progress")).toBe(true);
    host.send({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: "slow" } });
    const modern = modernMessage("tools/list");
    host.send(modern);
    expect((await host.answerTo(modern.id)).result).toMatchObject({ resultType: "complete", tools: [{}, {}, {}] });
    const listen = modernMessage("subscriptions/listen", { notifications: { toolsListChanged: true } });
    host.send(listen);
    host.send("{");
    host.send("");
    host.send("[]");
    await expect
      .poll(() => host.lines.filter(({ error }) => error !== undefined).map(({ error }) => error?.code))
      .toEqual([-32700, -32600]);
    host.send(call("write", "book", { seat: "s" }));
    await expect.poll(() => seats.received.length).toBe(1);
    expect(await host.end()).toBe(0);
    expect(host.lines.find(({ id }) => id === "write")?.result).toBeDefined();
    expect(host.lines.find(({ id }) => id === listen.id)?.result).toMatchObject({ resultType: "complete" });
    expect(host.lines.some(({ id }) => id === "slow")).toBe(false);
    expect(host.stderr()).toContain('"msg":"started"');
  },
);

test("relays to a running service with --url, as the caller of its key", { timeout: 60_000 }, async () => {
  await using service = await startService({
    env: { JACKFIELD_API_KEYS: "crm:crm-key" },
    plugins: [{ use: testTool("echo") }, { use: testTool("nap") }],
  });
  await using host = await startLines(["--url", service.url, "--key", "crm-key", "mcp"]);
  host.send({ jsonrpc: "2.0", id: "first", method: "initialize", params: { protocolVersion: "2025-06-18" } });
  expect((await host.answerTo("first")).result).toMatchObject({ protocolVersion: "2025-06-18" });
  host.send(call("b", "echo", {}));
  expect((await host.answerTo("b")).result).toMatchObject({ structuredContent: { source: "crm" } });
  host.send(call("c", "nap", { ms: 30, report: true }, { progressToken: 1 }));
  await host.answerTo("c");
  expect(host.lines.some(({ method }) => method === "notifications/progress")).toBe(true);
  const modern = modernMessage("tools/call", { name: "echo", arguments: { ü: "ü" } });
  host.send(modern);
  expect((await host.answerTo(modern.id)).result).toMatchObject({ structuredContent: { args: { ü: "ü" } } });
  const listen = modernMessage("subscriptions/listen", { notifications: { toolsListChanged: true } });
  host.send(listen);
  await expect
    .poll(() => host.lines.some(({ method }) => method === "notifications/subscriptions/acknowledged"))
    .toBe(true);
  expect(await host.end()).toBe(0);

  await using stranger = await startLines(["--url", service.url, "--key", "wrong", "mcp"]);
  stranger.send({ jsonrpc: "2.0", id: "first", method: "ping" });
  expect((await stranger.answerTo("first")).error?.message).toContain("A valid key is needed");
  const away = `http://127.0.0.1:${await freePort()}`;
  await using nobody = await startLines(["--url", away, "mcp"]);
  nobody.send({ jsonrpc: "2.0", id: "first", method: "ping" });
  expect((await nobody.answerTo("first")).error?.message).toBe(`Jackfield cannot be reached at ${away} (ECONNREFUSED)`);
});

test("relays arguments in headers if the service requires that", { timeout: 60_000 }, async () => {
  await using service = await startFixtureService();
  await using host = await startLines(["--url", service.url, "mcp"]);
  const message = modernMessage("tools/call", { name: "x_mcp_tool", arguments: { region: "Zürich" } });
  host.send(message);
  expect((await host.answerTo(message.id)).result).toMatchObject({ content: [{ text: "Zürich" }] });
});
