import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { post, readAnswer } from "../support/http-client.ts";
import { startService, testTool } from "../support/service.ts";
import type { ServiceUnderTest } from "../support/service.ts";
import { testRequirement } from "../support/test-requirement.ts";

let open: ServiceUnderTest;
let closed: ServiceUnderTest;
beforeAll(async () => {
  const plugins = [{ use: testTool("nap") }, { use: "@jackfield/get-weather" }];
  open = await startService({ plugins });
  closed = await startService({
    plugins,
    env: {
      GENESYS_WEBHOOK_KEY: "genesys-key",
      COGNIGY_API_KEY: "one:cog-1,two:cog-2",
      JACKFIELD_API_KEYS: "plain:plain-key,metrics:metrics-key:metrics:read,exec:exec-key:tools:execute",
    },
  });
}, 60_000);
afterAll(async () => {
  await open[Symbol.asyncDispose]();
  await closed[Symbol.asyncDispose]();
});

const ask = (url: string, init?: RequestInit) => readAnswer(fetch(url, init));
const bearer = (key: string): RequestInit => ({ headers: { authorization: `Bearer ${key}` } });

test("health and readiness are open, with keys and without", async () => {
  for (const { url } of [open, closed]) {
    expect((await ask(`${url}/healthz`)).status).toBe(200);
    const ready = await ask(`${url}/readyz`);
    expect([ready.status, ready.text]).toEqual([
      200,
      '{"ready":true,"notes":["sandbox: simulates weather, because nothing real is configured for it","sandbox: simulates genesys, because nothing real is configured for it"]}',
    ]);
  }
});

testRequirement("002.3", "GET /tools returns the definitions in three forms, in a fixed order", async () => {
  const openai = await ask(`${open.url}/tools`);
  expect(openai.headers.get("content-type")).toMatch(/^application\/json/);
  const { tools } = JSON.parse(openai.text) as { tools: { type: string; function: Record<string, unknown> }[] };
  expect(tools.map((tool) => [tool.type, tool.function["name"], Object.keys(tool.function)])).toEqual([
    ["function", "get_weather", ["name", "description", "parameters"]],
    ["function", "nap", ["name", "description", "parameters"]],
  ]);
  expect((await ask(`${open.url}/tools?format=openai`)).text).toBe(openai.text);
  const anthropic = JSON.parse((await ask(`${open.url}/tools?format=anthropic`)).text) as { tools: object[] };
  expect(anthropic.tools.map((tool) => Object.keys(tool))).toEqual([
    ["name", "description", "input_schema"],
    ["name", "description", "input_schema"],
  ]);
  const mcp = JSON.parse((await ask(`${open.url}/tools?format=mcp`)).text) as {
    tools: { name: string; inputSchema: object }[];
  };
  expect(mcp.tools.map((tool) => [tool.name, typeof tool.inputSchema])).toEqual([
    ["get_weather", "object"],
    ["nap", "object"],
  ]);
  const odd = await ask(`${open.url}/tools?format=xml`);
  expect([odd.status, Object.keys(JSON.parse(odd.text) as object)]).toEqual([400, ["error"]]);
});

test("with keys, definitions and metrics require one", async () => {
  expect((await ask(`${closed.url}/tools`)).status).toBe(401);
  expect((await ask(`${closed.url}/tools`, bearer("plain-ke"))).status).toBe(401);
  expect((await ask(`${closed.url}/tools`, bearer("exec-key"))).status).toBe(403);
  expect((await ask(`${closed.url}/tools`, bearer("plain-key"))).status).toBe(200);
  expect((await ask(`${closed.url}/metrics`)).status).toBe(401);
  expect((await ask(`${closed.url}/metrics`, bearer("plain-key"))).status).toBe(403);
  expect((await ask(`${closed.url}/metrics`, bearer("metrics-key"))).status).toBe(200);
  const twice = await ask(`${closed.url}/tools`, {
    headers: [
      ["authorization", "Bearer plain-key"],
      ["authorization", "Bearer plain-key"],
    ],
  });
  expect(twice.status).toBe(401);
});

test("problems are reported in the order 401, 404, 405, 413, 415, 400", async () => {
  const huge = "x".repeat(1_100_000);
  const paths = {
    "/llm-gateway/tools": { "x-api-key": "genesys-key" },
    "/webhook/tool-calls": { "x-api-key": "genesys-key" },
    "/api/v1/llm/tool-callback": { "x-cognigy-ai-api-key": "cog-1" },
  };
  for (const [path, key] of Object.entries(paths) as [string, Record<string, string>][]) {
    const url = `${closed.url}${path}`;
    expect([
      path,
      (await ask(url, { method: "POST", body: huge, headers: { "content-type": "text/plain" } })).status,
    ]).toEqual([path, 401]);
    expect([path, (await ask(url, { method: "DELETE" })).status]).toEqual([path, 401]);
    const method = await ask(url, { method: "DELETE", headers: key });
    expect([path, method.status, method.headers.get("allow")]).toEqual([
      path,
      405,
      path.includes("callback") ? "OPTIONS, POST" : "POST",
    ]);
    expect(JSON.parse(method.text)).toEqual({ error: expect.any(String) as string });
    const large = await ask(url, { method: "POST", body: huge, headers: { ...key, "content-type": "text/plain" } });
    expect([path, large.status]).toEqual([path, 413]);
    const type = await ask(url, { method: "POST", body: "{", headers: { ...key, "content-type": "text/plain" } });
    expect([path, type.status, type.text]).toEqual([path, 415, '{"error":"Content-Type must be application/json"}']);
    const empty = await ask(url, { method: "POST", headers: key });
    expect([path, [400, 415].includes(empty.status)]).toEqual([path, true]);
    expect([path, (await readAnswer(post(url, "{", key))).status]).toEqual([path, 400]);
  }
  for (const path of [
    "/",
    "/nothing",
    "/llm-gateway",
    "/llm-gateway/tools/",
    "/LLM-GATEWAY/tools",
    "/api/v1/llm/tool-callback/a/b",
    "/tools/x/y",
    "/jackfield",
  ]) {
    for (const method of ["GET", "POST", "DELETE"]) {
      const answer = await ask(`${open.url}${path}`, { method });
      expect([method, path, answer.status, answer.text]).toEqual([method, path, 404, '{"error":"Not found"}']);
    }
  }
  for (const [path, allow] of [
    ["/healthz", "GET, HEAD"],
    ["/readyz", "GET, HEAD"],
    ["/tools", "GET, HEAD"],
    ["/metrics", "GET, HEAD"],
  ]) {
    const answer = await ask(`${open.url}${path ?? ""}`, { method: "POST" });
    expect([path, answer.status, answer.headers.get("allow")]).toEqual([path, 405, allow]);
  }
});

testRequirement(["003.2", "003.7"], "calls of two Cognigy keys are separate", async () => {
  const url = `${closed.url}/api/v1/llm/tool-callback`;
  const callback = (key: string, ms: number) =>
    readAnswer(post(url, { tool_call_id: "same", name: "nap", arguments: { ms } }, { "x-cognigy-ai-api-key": key }));
  expect((await callback("cog-1", 1)).text).toBe('{"tool_call_id":"same","output":"{\\"slept\\":1}"}');
  expect((await callback("cog-2", 2)).text).toBe('{"tool_call_id":"same","output":"{\\"slept\\":2}"}');
  expect((await callback("cog-1", 2)).text).toContain("This call id was already used with other arguments.");
  const poll = (key: string, id: string) => ask(`${url}/${id}`, { headers: { "x-cognigy-ai-api-key": key } });
  expect((await poll("cog-1", "same")).text).toBe('{"tool_call_id":"same","output":"{\\"slept\\":1}"}');
  expect((await poll("cog-2", "same")).text).toBe('{"tool_call_id":"same","output":"{\\"slept\\":2}"}');
});

test("a foreign Host is refused on a loopback address", async () => {
  const { request } = await import("node:http");
  const status = (host: string) =>
    new Promise<number>((resolve, reject) => {
      request(`${open.url}/healthz`, { headers: { host } }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      })
        .on("error", reject)
        .end();
    });
  expect(await status("evil.example")).toBe(403);
  expect(await status("localhost:1")).toBe(200);
  expect(await status("[::1]:8080")).toBe(200);
});

testRequirement("003.8", "calls beyond the limit of pending ones are refused until there is room", async () => {
  await using own = await startService({
    yaml: { adapters: { cognigy: { maxPending: 2, answerWithinMs: 200 } } },
    plugins: [{ use: testTool("nap") }],
  });
  const callback = (id: string, ms: number) =>
    readAnswer(post(`${own.url}/api/v1/llm/tool-callback`, { tool_call_id: id, name: "nap", arguments: { ms } }));
  await Promise.all([callback("1", 1500), callback("2", 1500)]);
  const third = await callback("3", 0);
  expect([third.status, third.text]).toEqual([
    503,
    '{"error":"Correlation context limit reached. Clear stale entries."}',
  ]);
  expect(third.headers.get("retry-after")).toMatch(/^\d+$/);
  await expect.poll(async () => (await callback("4", 0)).status, { timeout: 10_000 }).toBe(200);
});

test("every refusal of a key or scope on a route is in the audit log and counted (hazard 24)", async () => {
  const lines = () =>
    readFileSync(join(closed.dataDir, "audit.jsonl"), "utf8")
      .split("\n")
      .filter((line) => line.includes('"access_refused"'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const before = existsSync(join(closed.dataDir, "audit.jsonl")) ? lines().length : 0;
  const refused = [
    post(`${closed.url}/webhook/tool-calls`, {}, { authorization: "Bearer wrong" }),
    post(`${closed.url}/api/v1/llm/tool-callback`, {}, { "x-cognigy-ai-api-key": "wrong" }),
    fetch(`${closed.url}/tools`, bearer("wrong")),
    fetch(`${closed.url}/metrics`, bearer("plain-key")),
  ];
  expect((await Promise.all(refused)).map(({ status }) => status)).toEqual([401, 401, 401, 403]);
  await expect.poll(() => lines().length).toBe(before + 4);
  const found = lines()
    .slice(before)
    .map(({ code, target, caller }) => [code, target, caller]);
  expect(found.toSorted()).toEqual([
    ["permission_denied", "GET /metrics", "plain"],
    ["unauthenticated", "GET /tools", undefined],
    ["unauthenticated", "POST /api/v1/llm/tool-callback", undefined],
    ["unauthenticated", "POST /webhook/tool-calls", undefined],
  ]);
  const metrics = await (await fetch(`${closed.url}/metrics`, bearer("metrics-key"))).text();
  expect(metrics).toMatch(/jackfield_access_refused_total\{[^}]*GET \/metrics[^}]*\} [1-9]/);
  expect(closed.logs()).toContain("a request was refused");
});
