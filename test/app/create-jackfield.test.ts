import { expect, test } from "vitest";
import { ConfigError, createJackfield } from "../../src/index.ts";
import { defineTool, ToolError } from "../../src/plugin/index.ts";
import { startDownstream } from "../outbound/downstream.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { testRequirement } from "../support/test-requirement.ts";

const greet = defineTool({
  name: "greet",
  description: "Greets a person.",
  inputSchema: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
  effect: "read",
  execute: ({ name }) => `Hello, ${name}!`,
});

const ask = defineTool({
  name: "ask",
  description: "Asks the ERP system.",
  inputSchema: { type: "object", properties: { how: { type: "string" } } },
  configSchema: {
    type: "object",
    properties: { baseUrl: { type: "string", format: "uri" } },
    required: ["baseUrl"],
    additionalProperties: false,
  },
  effect: "read",
  async execute({ how }, { http, config }) {
    if (how === "throw") throw new Error("not for the model");
    if (how === "tell") throw new ToolError("Say this.");
    if (how === "wait") await new Promise((resolve) => setTimeout(resolve, 300));
    return (await http(`${config.baseUrl}/x`)).text();
  },
});

async function call(url: string, name: string, args: object, headers: Record<string, string> = {}) {
  const response = await fetch(`${url}/jackfield.v1.ToolExecutor/ExecuteTool`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ call: { name, arguments: args } }),
  });
  return (await response.json()) as { result?: { outcome: string; output: string }; code?: string };
}

test("a service is configured by object, with the defaults of the file, and closes what it opened", async () => {
  using folder = scratchFolder();
  const settings = { port: 0, dataDir: folder.path, logLevel: "silent", plugins: [greet] } as const;
  const jackfield = await createJackfield(settings);
  expect((await call(jackfield.url, "greet", { name: "Ada" })).result).toMatchObject({ output: "Hello, Ada!" });
  const ready = (await (await fetch(`${jackfield.url}/readyz`)).json()) as { ready: boolean };
  expect(ready.ready).toBe(true);
  jackfield.unready();
  expect((await fetch(`${jackfield.url}/readyz`)).status).toBe(503);
  expect((await call(jackfield.url, "greet", { name: "Ada" })).result?.output).toBe("Hello, Ada!");
  jackfield.drain();
  expect((await call(jackfield.url, "greet", { name: "Ada" })).code).toBe("unavailable");
  await jackfield.close();
  await expect(fetch(jackfield.url)).rejects.toThrow();
  expect(Object.keys(jackfield)).toEqual(["url", "unready", "drain", "close"]);
});

test.each<[object, string]>([
  [{ prot: 1 }, "settings: prot is not a known key; did you mean port?"],
  [{ port: "x" }, "settings: port must be a whole number from 0 to 65535"],
  [{ plugins: [greet, greet] }, "its tool greet is already provided by greet"],
  [{ plugins: [{ use: greet, isolation: "worker" }] }, "a tool that is given by object cannot be isolated"],
  [{ plugins: [ask] }, "its configuration does not fit: config must have required property 'baseUrl'"],
  [
    { plugins: [{ use: ask, config: { baseUrl: "http://x", credentials: "erp" } }] },
    'must name one of genesys; found "erp"',
  ],
  [
    { credentials: { erp: { bearer: "a", header: { name: "x", value: "y" } } } },
    "credentials.erp must contain exactly one of bearer",
  ],
  [{ credentials: { genesys: { bearer: "a" } } }, "credentials.genesys must have a unique name"],
])("invalid settings (%o) are refused with a message", async (settings, message) => {
  using folder = scratchFolder();
  const all = { port: 0, dataDir: folder.path, ...settings };
  const reason: unknown = await createJackfield(all).catch((error: unknown) => error);
  expect(reason).toBeInstanceOf(ConfigError);
  expect((reason as ConfigError).message).toContain(message);
});

testRequirement(
  "000.13",
  "a tool's config names a credential, and its requests carry it although the tool never sees it",
  async () => {
    using folder = scratchFolder();
    await using erp = await startDownstream((response, request) => {
      response.writeHead(200).end(`got ${request.headers.authorization}`);
    });
    await using jackfield = await createJackfield({
      port: 0,
      dataDir: folder.path,
      logLevel: "silent",
      plugins: [{ use: ask, config: { baseUrl: erp.origin, credentials: "erp" } }],
      credentials: { erp: { bearer: "erp-token-1" } },
    });
    const { result } = await call(jackfield.url, "ask", {});
    expect(erp.requests[0]?.headers.authorization).toBe("Bearer erp-token-1");
    expect(result?.output).not.toContain("erp-token-1");
  },
);

test("a tool can have its own failure message, answer deadline and retries", async () => {
  using folder = scratchFolder();
  await using erp = await startDownstream((response, _request, nth) => {
    response.writeHead(nth <= 1 ? 429 : 200, { "retry-after": "0" }).end("fine");
  });
  await using jackfield = await createJackfield({
    port: 0,
    dataDir: folder.path,
    logLevel: "silent",
    plugins: [
      {
        use: ask,
        config: { baseUrl: erp.origin },
        fallbackMessage: "Please transfer the caller.",
        answerWithinMs: 100,
        retry: { retries: 0 },
      },
    ],
    downstreams: { [erp.origin]: { inFlight: 1 } },
  });
  const outputOf = async (how: string) => (await call(jackfield.url, "ask", { how })).result?.output;
  expect(await outputOf("throw")).toBe("Please transfer the caller.");
  expect(await outputOf("tell")).toBe("Say this.");
  expect(await outputOf("")).toContain("External API returned 429");
  expect(await outputOf("wait")).toBe("Tool execution timed out or failed. Please retry.");
});
