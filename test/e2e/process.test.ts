import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { post, readAnswer, until } from "../support/http-client.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { runProcess, startProcess, testTool } from "../support/service.ts";
import type { ProcessOptions } from "../support/service.ts";
import { testRequirement } from "../support/test-requirement.ts";

const folder = scratchFolder("jackfield-wrong");
afterAll(() => folder[Symbol.dispose]());
const root = join(import.meta.dirname, "../..");

/** Writes a plugin as a module file. */
function plugin(name: string, source: string): string {
  const path = join(folder.path, `${name}.mjs`);
  writeFileSync(path, source.replaceAll("jackfield/plugin", join(root, "src/plugin/index.ts")));
  return path;
}

const define = (fields: string): string =>
  `import { defineTool } from "jackfield/plugin";\nexport default defineTool({ name: "t", description: "d", inputSchema: { type: "object" }, execute: () => 1, ${fields} });\n`;

/** Starts the program, which must refuse to start. Returns its messages. */
async function sentences(options: ProcessOptions): Promise<string[]> {
  const { code, stdout, stderr, port } = await runProcess(options);
  expect(code, stderr).toBe(1);
  expect(stdout).not.toContain("listening");
  await expect(fetch(`http://127.0.0.1:${port}/healthz`)).rejects.toThrow();
  const lines = stderr.trim().split("\n");
  for (const line of lines) {
    expect(line).toMatch(/^\S.*[\w.?)]$/);
    expect(line).not.toMatch(/^\s+at |node:internal|\bError:/);
  }
  return lines;
}

const wrong: [string, () => ProcessOptions, RegExp[]][] = [
  ["a port that is none", () => ({ env: { PORT: "80x" } }), [/PORT.*80x/]],
  [
    "three faults at once",
    () => ({ env: { PORT: "-1", LOG_LEVEL: "loud", EXTERNAL_API_BASE_URL: "ftp://x" } }),
    [/PORT/, /LOG_LEVEL.*loud/, /EXTERNAL_API_BASE_URL/],
  ],
  [
    "a named file that is missing",
    () => ({ env: { JACKFIELD_CONFIG: "./nowhere.yaml" } }),
    [/JACKFIELD_CONFIG.*nowhere\.yaml/],
  ],
  ["an unknown key", () => ({ yaml: { adapter: {} } }), [/adapter.*adapters/]],
  ["a wrong type", () => ({ yaml: { limits: { depth: "deep" } } }), [/limits\.depth.*deep/]],
  ["half of the credentials", () => ({ env: { GENESYS_CLIENT_ID: "x" } }), [/GENESYS_CLIENT_SECRET/]],
  ["a key without a name", () => ({ env: { JACKFIELD_API_KEYS: "secretkey" } }), [/JACKFIELD_API_KEYS/]],
  ["an unknown scope", () => ({ env: { JACKFIELD_API_KEYS: "a:b:tools:exec" } }), [/tools:exec/]],
  [
    "an engine of another kind",
    () => ({ env: { JACKFIELD_ENGINE_URL: "mysql://user:geheim@x" } }),
    [/JACKFIELD_ENGINE_URL/],
  ],
  ["a secret file that is missing", () => ({ env: { EXTERNAL_API_KEY_FILE: "/nowhere" } }), [/EXTERNAL_API_KEY_FILE/]],
  [
    "a placeholder without its variable",
    () => ({ yaml: { adapters: { genesys: { webhookKey: "${env:NO_SUCH_THING}" } } } }),
    [/NO_SUCH_THING/],
  ],
  [
    "every address without keys",
    () => ({ env: { HOST: "0.0.0.0" } }),
    [/GENESYS_WEBHOOK_KEY/, /COGNIGY_API_KEY/, /JACKFIELD_API_KEYS/],
  ],
  [
    "every address with the RPC open",
    () => ({ env: { HOST: "0.0.0.0", GENESYS_WEBHOOK_KEY: "k", COGNIGY_API_KEY: "k" } }),
    [/JACKFIELD_API_KEYS/],
  ],
  [
    "a plugin that is not there",
    () => ({ plugins: [{ use: "@jackfield/no-such-tool" }] }),
    [/@jackfield\/no-such-tool/],
  ],
  [
    "a plugin without an export",
    () => ({ plugins: [{ use: plugin("no-export", "export const x = 1;\n") }] }),
    [/no-export\.mjs.*default export/],
  ],
  [
    "a plugin not made by defineTool",
    () => ({ plugins: [{ use: plugin("plain", "export default { name: 'x' };\n") }] }),
    [/plain\.mjs.*defineTool/],
  ],
  [
    "a plugin of another version",
    () => ({ plugins: [{ use: plugin("future", "export default { apiVersion: 2, name: 'x' };\n") }] }),
    [/future\.mjs.*version 2/],
  ],
  [
    "a plugin that throws",
    () => ({ plugins: [{ use: plugin("throws", "throw new Error('boom');\n") }] }),
    [/throws\.mjs.*boom/],
  ],
  [
    "two plugins of one name",
    () => ({ plugins: [{ use: plugin("one", define("")) }, { use: plugin("two", define("")) }] }),
    [/(two|one)\.mjs.*\bt\b.*(one|two)\.mjs/],
  ],
  [
    "a schema that does not compile",
    () => ({ plugins: [{ use: plugin("schema", define('inputSchema: { type: "dict" }')) }] }),
    [/schema\.mjs/],
  ],
  [
    "required names that are no properties",
    () => ({
      plugins: [
        {
          use: plugin(
            "required",
            define('inputSchema: { type: "object", properties: { a: {} }, required: ["a", "bb"] }'),
          ),
        },
      ],
    }),
    [/required\.mjs.*bb/],
  ],
  [
    "a configuration that is missing",
    () => ({
      plugins: [
        {
          use: plugin(
            "config",
            define('configSchema: { type: "object", properties: { url: { type: "string" } }, required: ["url"] }'),
          ),
        },
      ],
    }),
    [/config\.mjs.*url/],
  ],
  [
    "a pattern that is none",
    () => ({
      plugins: [
        {
          use: plugin(
            "pattern",
            define('inputSchema: { type: "object", properties: { a: { type: "string", pattern: "(" } } }'),
          ),
        },
      ],
    }),
    [/pattern\.mjs/],
  ],
];

test("each wrong configuration ends the start with one sentence per problem, and nothing listens (hazard 44)", async () => {
  for (let at = 0; at < wrong.length; at += 3) {
    await Promise.all(
      wrong.slice(at, at + 3).map(async ([what, options, words]) => {
        const lines = await sentences(options());
        expect([what, lines.length, lines]).toEqual([what, words.length, lines]);
        for (const word of words) expect(lines.join("\n"), what).toMatch(word);
        expect(lines.join("\n")).not.toMatch(/geheim|secretkey/);
      }),
    );
  }
}, 120_000);

test("a port in use is reported, with exit code 1", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const { port } = other.address() as AddressInfo;
  const { code, stderr } = await runProcess({ port, plugins: [{ use: testTool("nap") }] });
  expect([code, stderr]).toEqual([1, `PORT: 127.0.0.1:${port} is in use by another program.\n`]);
  other.close();
}, 60_000);

test("a second process on the same data folder is refused with a message", async () => {
  const dataDir = join(folder.path, "shared");
  mkdirSync(dataDir);
  const plugins = [{ use: testTool("nap") }];
  await using first = await startProcess({ dataDir, plugins });
  await first.ready();
  const lines = await sentences({ dataDir, plugins });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain(dataDir);
  expect((await fetch(`${first.url}/readyz`)).status).toBe(200);
}, 60_000);

test("SIGTERM lets a running call finish, refuses new work and exits with 0", async () => {
  await using service = await startProcess({ plugins: [{ use: testTool("nap") }] });
  await service.ready();
  const running = readAnswer(
    post(`${service.url}/api/v1/llm/tool-callback`, { tool_call_id: "1", name: "nap", arguments: { ms: 1500 } }),
  );
  await until(
    async () => (await (await fetch(`${service.url}/metrics`)).text()).includes("jackfield_executions_running 1"),
    10_000,
  );
  service.child.kill("SIGTERM");
  await until(() => service.stdout().includes("shutting down"), 10_000);
  const late = await readAnswer(
    post(`${service.url}/api/v1/llm/tool-callback`, { tool_call_id: "2", name: "nap", arguments: { ms: 0 } }),
  ).catch(() => undefined);
  if (late !== undefined) expect([late.status, Object.keys(JSON.parse(late.text) as object)]).toEqual([503, ["error"]]);
  expect((await running).text).toBe('{"tool_call_id":"1","output":"{\\"slept\\":1500}"}');
  expect(await service.ended()).toBe(0);
  expect(service.stderr()).toBe("");
}, 60_000);

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`a second ${signal} exits with 130 at once`, async () => {
    await using service = await startProcess({ plugins: [{ use: testTool("nap") }] });
    await service.ready();
    const running = post(`${service.url}/api/v1/llm/tool-callback`, {
      tool_call_id: "1",
      name: "nap",
      arguments: { ms: 15_000 },
    }).catch(() => undefined);
    await until(
      async () => (await (await fetch(`${service.url}/metrics`)).text()).includes("jackfield_executions_running 1"),
      10_000,
    );
    service.child.kill(signal);
    await until(() => service.stdout().includes("shutting down"), 10_000);
    service.child.kill(signal);
    expect(await service.ended()).toBe(130);
    await running;
  }, 60_000);
}

testRequirement(
  ["000.8", "000.9"],
  "a stream that is open at shutdown ends properly",
  async () => {
    await using service = await startProcess({ plugins: [{ use: testTool("nap") }] });
    await service.ready();
    const stream = readAnswer(
      post(`${service.url}/llm-gateway/tools`, {
        tool_calls: [{ id: "1", function: { name: "nap", arguments: { ms: 1500 } } }],
      }),
    );
    await until(
      async () => (await (await fetch(`${service.url}/metrics`)).text()).includes("jackfield_executions_running 1"),
      10_000,
    );
    service.child.kill("SIGTERM");
    expect((await stream).text).toContain("event: tool_result");
    expect(await service.ended()).toBe(0);
  },
  60_000,
);

test("logs are JSON lines on stdout, and simulated parts are reported", async () => {
  await using service = await startProcess({ plugins: [{ use: "@jackfield/get-weather" }] });
  await service.ready();
  const lines = service
    .stdout()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { msg: string; level: string; time: string; urls?: Record<string, string> });
  expect(lines.some(({ msg }) => msg === "listening")).toBe(true);
  const told = lines.filter(({ msg }) => msg.includes("sandbox"));
  expect(told.map(({ msg }) => msg)).toEqual([
    "sandbox: simulates weather, because nothing real is configured for it",
    "sandbox: simulates genesys, because nothing real is configured for it",
  ]);
  expect(Object.keys(told[0]?.urls ?? {})).toEqual(["weather", "genesys"]);
  const { notes } = (await (await fetch(`${service.url}/readyz`)).json()) as { notes: string[] };
  expect(notes).toEqual(told.map(({ msg }) => msg));
  expect(lines.filter(({ level }) => level === "warn").map(({ msg }) => msg)).toEqual([
    expect.stringMatching(/GENESYS_WEBHOOK_KEY/),
    expect.stringMatching(/COGNIGY_API_KEY/),
  ]);
}, 60_000);
