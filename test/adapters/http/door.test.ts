import * as fc from "fast-check";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startReceiver, type Receiver } from "../../support/receiver.ts";
import { startService, testTool, type ServiceUnderTest } from "../../support/service.ts";

const key = "crm-key";
let office: Receiver;
let service: ServiceUnderTest;
let url: string;

beforeAll(async () => {
  office = await startReceiver(({ path }) => ({ body: { path } }));
  service = await startService({
    env: { JACKFIELD_API_KEYS: "crm:crm-key,erp:erp-key,reader:read-key:tools:read" },
    yaml: {
      adapters: {
        http: { answerWithinMs: 60, publicUrl: "https://tools.example.com/", corsOrigins: ["https://app.example.com"] },
      },
      callers: [{ name: "narrow", keys: ["narrow-key"], tools: ["echo"], scopes: ["tools:execute", "tools:read"] }],
    },
    plugins: [
      { use: testTool("echo") },
      { use: testTool("nap") },
      { use: testTool("nullable") },
      { use: testTool("book"), config: { baseUrl: office.url } },
    ],
  });
  ({ url } = service);
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await office[Symbol.asyncDispose]();
});

async function call(name: string, body: unknown, headers: Record<string, string> = {}, own = key) {
  const response = await fetch(`${url}/tools/${name}`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${own}`, ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  };
}

async function find(callId: string, headers: Record<string, string> = {}, own = key) {
  const response = await fetch(`${url}/calls/${encodeURIComponent(callId)}`, {
    headers: { authorization: `Bearer ${own}`, ...headers },
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  };
}

describe("POST /tools/{name}", () => {
  test("answers 200 with outcome, text and value; the returned id is accepted as a key", async () => {
    const first = await call("echo", { a: 1 }, { "jackfield-conversation-id": "c-1" });
    const value = { args: { a: 1 }, conversation: "c-1", session: null, source: "crm" };
    expect(first).toMatchObject({ status: 200 });
    expect(first.body).toEqual({
      callId: expect.stringMatching(/^[\w-]{22}$/),
      outcome: "OK",
      output: JSON.stringify(value),
      value,
      replayed: false,
      truncated: false,
    });
    const again = await call("echo", { a: 1 }, { "idempotency-key": String(first.body["callId"]) });
    expect(again.body).toEqual({ ...first.body, replayed: true });
    expect((await call("echo", {}, {}, "narrow-key")).body["value"]).toMatchObject({ source: "narrow" });
  });

  test("answers 200 for every outcome, and hides tools that the caller may not use", async () => {
    for (const [name, body, outcome, output] of [
      ["nothing", {}, "UNKNOWN_TOOL", "Unknown tool: nothing"],
      ["nothing", { a: null }, "UNKNOWN_TOOL", "Unknown tool: nothing"],
      ["nap", { ms: "soon" }, "INVALID_ARGUMENTS", expect.stringContaining("ms")],
      ["nap", [], "INVALID_ARGUMENTS", expect.any(String)],
      ["nap", "null", "INVALID_ARGUMENTS", expect.any(String)],
      ["echo", '{"__proto__":{"a":1}}', "INVALID_ARGUMENTS", expect.any(String)],
      ["echo", `${'{"a":'.repeat(60)}1${"}".repeat(60)}`, "INVALID_ARGUMENTS", expect.any(String)],
    ] as const) {
      const { status, body: answer } = await call(name, body);
      expect([name, status, answer["outcome"], answer["value"]]).toEqual([name, 200, outcome, null]);
      expect(answer["output"]).toEqual(output);
    }
    const hidden = await call("nap", { ms: 1 }, {}, "narrow-key");
    expect(hidden.body).toMatchObject({ outcome: "UNKNOWN_TOOL", output: "Unknown tool: nap" });
  });

  test("accepts body members in place of missing headers, never as arguments", async () => {
    const members = { a: 1, jackfieldConversationId: "c-2", jackfieldCallId: "k-2" };
    const first = await call("echo", members);
    expect(first.body).toMatchObject({ callId: "k-2", value: { args: { a: 1 }, conversation: "c-2" } });
    const headers = { "idempotency-key": "k-3", "jackfield-conversation-id": "c-3" };
    const second = await call("echo", members, headers);
    expect(second.body).toMatchObject({ callId: "k-3", value: { args: { a: 1 }, conversation: "c-3" } });
    const templates = { "idempotency-key": "${input.id}", "jackfield-conversation-id": "$!{id}" };
    const third = await call("echo", { ...members, jackfieldCallId: "k-4" }, templates);
    expect(third.body).toMatchObject({ callId: "k-4", value: { conversation: "c-2" } });
    const nulls = await call("echo", { jackfieldCallId: null, jackfieldConversationId: null });
    expect(nulls.body).toMatchObject({ outcome: "OK", value: { args: {}, conversation: null } });
    for (const absent of ["", "${input.id}", "$!{id}", "{{input.sessionId}}"]) {
      const answer = await call("echo", { jackfieldCallId: absent, jackfieldConversationId: absent });
      expect(answer.body).toMatchObject({ outcome: "OK", value: { args: {}, conversation: null } });
      expect(answer.body["callId"]).toMatch(/^[\w-]{22}$/);
    }
    for (const jackfieldCallId of [5, false, "x".repeat(257)]) {
      const { status, body } = await call("echo", { jackfieldCallId });
      expect([status, body]).toEqual([400, { error: "Invalid idempotency key: expected 1 to 256 characters" }]);
    }
  });

  test("treats null as absent for an optional argument that may not be null, and for no other", async () => {
    const all = { text: null, nullable: null, choice: null, nothing: null, extra: null, referred: null };
    const { body } = await call("nullable", { ...all, required: "x" });
    expect(body).toMatchObject({ outcome: "OK", value: { nullable: null, nothing: null, extra: null, required: "x" } });
    expect(Object.keys(body["value"] as object).sort()).toEqual(["extra", "nothing", "nullable", "required"]);
    expect((await call("nullable", { required: null })).body["outcome"]).toBe("INVALID_ARGUMENTS");
  });

  test("honours and reports Prefer; a call that takes longer is PENDING and can be found by its id", async () => {
    const headers = { "idempotency-key": "p-1" };
    const pending = await call("book", { seat: "h1", ms: 300 }, headers);
    expect(pending.body).toEqual({
      callId: "p-1",
      outcome: "PENDING",
      output: "The request is still being processed. Do not repeat it.",
      value: null,
      replayed: false,
      truncated: false,
    });
    expect((await find("p-1")).body).toEqual(pending.body);
    const found = await find("p-1", { prefer: "wait=5" });
    expect(found.headers.get("preference-applied")).toBe("wait=5");
    expect(found.body).toMatchObject({ callId: "p-1", outcome: "OK", value: { path: "/seats/h1" } });
    expect((await find("p-1", {}, "erp-key")).status).toBe(404);
    const waited = await call("book", { seat: "h2", ms: 200 }, { prefer: 'respond-async, wait="10"' });
    expect(waited.headers.get("preference-applied")).toBe("wait=10");
    expect(waited.body).toMatchObject({ outcome: "OK", value: { path: "/seats/h2" } });
    const ignored = await call("echo", {}, { prefer: "wait=0" });
    expect(ignored.headers.get("preference-applied")).toBeNull();
    expect((await call("echo", {}, { prefer: "wait=999" })).headers.get("preference-applied")).toBe("wait=120");
    expect(await find("unknown")).toMatchObject({ status: 404, body: { error: "Unknown call" } });
  });

  test("reports problems in the order 401, 405, 413, 415, 400, and names missing scopes", async () => {
    const nobody = await call("echo", "{", { "content-type": "text/plain" }, "wrong");
    expect([nobody.status, nobody.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
    const put = await fetch(`${url}/tools/echo`, { method: "PUT", headers: { authorization: `Bearer ${key}` } });
    expect([put.status, put.headers.get("allow"), await put.json()]).toEqual([
      405,
      "OPTIONS, POST",
      { error: "Method not allowed" },
    ]);
    expect((await call("echo", "x".repeat(1_100_000))).status).toBe(413);
    expect((await call("echo", "{}", { "content-type": "text/plain" })).status).toBe(415);
    expect((await call("echo", "{")).body).toEqual({ error: "The request body is not valid JSON" });
    const reader = await call("echo", {}, {}, "read-key");
    expect([reader.status, reader.body]).toEqual([403, { error: "This caller lacks the scope tools:execute" }]);
  });

  test("allows web pages of the listed origins, and no others", async () => {
    const preflight = await fetch(`${url}/tools/echo`, {
      method: "OPTIONS",
      headers: { origin: "https://app.example.com" },
    });
    expect(preflight.headers.get("access-control-allow-headers")).toContain("Idempotency-Key");
    const { headers } = await call("echo", {}, { origin: "https://evil.example.com" });
    expect(headers.get("access-control-allow-origin")).toBeNull();
  });

  test("passes any object of arguments unchanged", async () => {
    const json = fc.dictionary(fc.string({ unit: "grapheme", maxLength: 20 }), fc.jsonValue({ maxDepth: 3 }), {
      maxKeys: 5,
    });
    await fc.assert(
      fc.asyncProperty(json, async (args) => {
        const text = JSON.stringify(args);
        // Numbers that JSON.parse cannot hold are refused, on every path.
        fc.pre(!/__proto__|constructor|jackfield|\d{16}|\de/.test(text));
        const { body } = await call("echo", text);
        expect((body["value"] as { args: unknown }).args).toEqual(JSON.parse(text));
      }),
      { numRuns: 50 },
    );
  });
});

test("GET /openapi.json describes the caller's tools in OpenAPI 3.1, its references resolved", async () => {
  const get = async (own: string) =>
    await fetch(`${url}/openapi.json`, { headers: { authorization: `Bearer ${own}` } });
  const document = (await (await get(key)).json()) as { paths: Record<string, { post: Record<string, never> }> };
  expect(document).toMatchObject({ openapi: "3.1.0", servers: [{ url: "https://tools.example.com" }] });
  expect(Object.keys(document.paths)).toEqual(["/tools/book", "/tools/echo", "/tools/nap", "/tools/nullable"]);
  expect(document.paths["/tools/nap"]?.post).toMatchObject({
    operationId: "nap",
    description: "Waits and says how long.",
    "x-jackfield-effect": "read",
    security: [{ bearer: [] }],
    requestBody: { content: { "application/json": { schema: { type: "object", required: ["ms"] } } } },
  });
  const ajv = new Ajv2020({ strict: false });
  ajv.addSchema(document, "https://tools.example.com/openapi.json");
  const referred = ajv.getSchema(
    "https://tools.example.com/openapi.json#/paths/~1tools~1nullable/post/requestBody/content/application~1json/schema",
  );
  expect([referred?.({ required: "x", referred: "y" }), referred?.({ required: "x", referred: 7 })]).toEqual([
    true,
    false,
  ]);
  const narrow = (await (await get("narrow-key")).json()) as typeof document;
  expect(Object.keys(narrow.paths)).toEqual(["/tools/echo"]);
  expect((await get("wrong")).status).toBe(401);
});
