import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { createMCPClient } from "@ai-sdk/mcp";
import { MultiServerMCPClient } from "@langchain/mcp-adapters";
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from "@modelcontextprotocol/client";
import { Client as OlderClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { MCPServerStreamableHttp } from "@openai/agents-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startReceiver, type Receiver } from "../../support/receiver.ts";
import { startService, testTool, type ServiceUnderTest } from "../../support/service.ts";

// Clients of other authors, unchanged.

const headers = { Authorization: "Bearer crm-key" };
const info = { name: "judge", version: "1.0.0" };
let office: Receiver;
let service: ServiceUnderTest;
let url: URL;

beforeAll(async () => {
  office = await startReceiver(({ path }) => ({ body: { path } }));
  service = await startService({
    env: { JACKFIELD_API_KEYS: "crm:crm-key" },
    yaml: { adapters: { mcp: { answerWithinMs: 2000, taskAfterMs: 100 } } },
    plugins: [
      { use: testTool("echo") },
      { use: testTool("nap") },
      { use: testTool("book"), config: { baseUrl: office.url } },
    ],
  });
  url = new URL(`${service.url}/mcp`);
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await office[Symbol.asyncDispose]();
});

const names = (tools: readonly { name: string }[]): string[] => tools.map(({ name }) => name).sort();
const all = ["book", "echo", "nap"];

describe("@modelcontextprotocol/client", () => {
  for (const mode of ["legacy", "auto"] as const) {
    test(`lists tools, calls and waits in the mode ${mode}`, { timeout: 30_000 }, async () => {
      const client = new ModernClient(info, { versionNegotiation: { mode } });
      await client.connect(new ModernTransport(url, { requestInit: { headers } }));
      try {
        expect(client.getNegotiatedProtocolVersion()).toBe(mode === "auto" ? "2026-07-28" : "2025-11-25");
        expect(names((await client.listTools()).tools)).toEqual(all);
        const answer = await client.callTool({ name: "echo", arguments: { a: 1 } });
        expect(answer).toMatchObject({ structuredContent: { args: { a: 1 }, source: "crm" } });
        const refused = await client.callTool({ name: "nap", arguments: { ms: "x" } });
        expect(refused["isError"]).toBe(true);
        await expect(client.callTool({ name: "nothing" })).rejects.toThrow("Unknown tool: nothing");
        const late = await client.callTool({ name: "nap", arguments: { ms: 4500 } });
        if (mode === "auto") expect(late).toMatchObject({ structuredContent: { slept: 4500 } });
        else expect(late["isError"]).toBe(true);
      } finally {
        await client.close();
      }
    });
  }

  test("gets one effect for one key, however often it calls", async () => {
    const client = new ModernClient(info, { versionNegotiation: { mode: "auto" } });
    await client.connect(new ModernTransport(url, { requestInit: { headers } }));
    const call = { name: "book", arguments: { seat: "c1" }, _meta: { "jackfield/idempotencyKey": "c-1" } };
    const answers = await Promise.all([client.callTool(call), client.callTool(call), client.callTool(call)]);
    for (const answer of answers) expect(answer).toMatchObject({ structuredContent: { path: "/seats/c1" } });
    expect(office.received.filter(({ path }) => path === "/seats/c1")).toHaveLength(1);
    await client.close();
  });
});

describe("@modelcontextprotocol/sdk", () => {
  test("lists tools, calls and receives progress", async () => {
    const client = new OlderClient(info);
    await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers } }));
    expect(names((await client.listTools()).tools)).toEqual(all);
    const heard: unknown[] = [];
    const answer = await client.callTool({ name: "nap", arguments: { ms: 30, report: true } }, undefined, {
      onprogress: (progress) => heard.push(progress),
    });
    expect(answer).toMatchObject({ structuredContent: { slept: 30 } });
    expect(heard).toEqual([{ progress: 0.5, total: 1, message: "half way" }]);
    await client.close();
  });

  test("starts `jackfield mcp` itself", { timeout: 30_000 }, async () => {
    const client = new OlderClient(info);
    const args = [
      "--conditions=source",
      join(import.meta.dirname, "../../../src/main.ts"),
      "--url",
      service.url,
      "mcp",
    ];
    const env = { PATH: process.env["PATH"] ?? "", JACKFIELD_API_KEY: "crm-key" };
    await client.connect(new StdioClientTransport({ command: process.execPath, args, env }));
    expect(names((await client.listTools()).tools)).toEqual(all);
    expect(await client.callTool({ name: "echo", arguments: {} })).toMatchObject({
      structuredContent: { source: "crm" },
    });
    await client.close();
  });
});

test("@ai-sdk/mcp lists and calls", async () => {
  const client = await createMCPClient({ transport: { type: "http", url: url.href, headers } });
  const tools = await client.tools();
  expect(Object.keys(tools).sort()).toEqual(all);
  const answer: unknown = await tools["echo"]?.execute({ b: 2 }, { toolCallId: "t", messages: [], context: {} });
  expect(JSON.stringify(answer)).toContain('"b":2');
  const late: unknown = await tools["nap"]?.execute({ ms: 500 }, { toolCallId: "t", messages: [], context: {} });
  expect(JSON.stringify(late)).toContain("500");
  await client.close();
});

test("@langchain/mcp-adapters lists and calls", async () => {
  const client = new MultiServerMCPClient({ jackfield: { transport: "http", url: url.href, headers } });
  const tools = await client.getTools();
  expect(names(tools)).toEqual(all);
  const answer: unknown = await tools.find(({ name }) => name === "echo")?.invoke({ c: 3 });
  expect(JSON.stringify(answer)).toContain('\\"c\\":3');
  await client.close();
});

test("@openai/agents-core lists and calls", async () => {
  const server = new MCPServerStreamableHttp({ url: url.href, requestInit: { headers } });
  await server.connect();
  expect(names(await server.listTools())).toEqual(all);
  expect(JSON.stringify(await server.callTool("echo", { d: 4 }))).toContain('\\"d\\":4');
  await server.close();
});

describe("the inspector's command line", () => {
  const program = join(
    dirname(createRequire(import.meta.url).resolve("@modelcontextprotocol/inspector/package.json")),
    "clients/launcher/build/index.js",
  );
  const inspect = async (...args: string[]): Promise<string> => {
    const common = ["--cli", url.href, "--transport", "http", "--header", "Authorization: Bearer crm-key"];
    const { stdout } = await promisify(execFile)(process.execPath, [program, ...common, ...args], {
      env: { ...process.env, HOME: service.dataDir },
    });
    return stdout;
  };

  for (const era of ["legacy", "modern"]) {
    test(`finds no problems in the era ${era}`, { timeout: 60_000 }, async () => {
      const listed = JSON.parse(await inspect("--protocol-era", era, "--method", "tools/list", "--strict")) as {
        tools: { name: string }[];
      };
      expect(names(listed.tools)).toEqual(all);
      const args = ["--method", "tools/call", "--tool-name", "book", "--tool-arg", `seat=i-${era}`];
      const key = ["--tool-metadata", `jackfield/idempotencyKey=i-${era}`];
      for (let again = 0; again < 2; again += 1)
        expect(await inspect("--protocol-era", era, ...args, ...key)).toContain(`/seats/i-${era}`);
      expect(office.received.filter(({ path }) => path === `/seats/i-${era}`)).toHaveLength(1);
    });
  }
});
