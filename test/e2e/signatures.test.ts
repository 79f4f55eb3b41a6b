import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { rpc, readAnswer, until } from "../support/http-client.ts";
import { startReceiver, type Receiver } from "../support/receiver.ts";
import { startService, testTool, type ServiceUnderTest } from "../support/service.ts";

// The published example of Standard Webhooks.
const published = {
  secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  body: '{"test": 2432232314}',
  headers: {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  },
};
const rotated = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const cognigySecret = "whsec_dGhlIHNlY3JldCBvZiB0aGUgY2FsbGJhY2s=";

let office: Receiver;
let service: ServiceUnderTest;

beforeAll(async () => {
  office = await startReceiver(({ path }) => ({ body: { path } }));
  service = await startService({
    yaml: {
      limits: { bodyBytes: 2048 },
      adapters: {
        genesys: { signature: { scheme: "hub", secrets: ["genesys-old", "genesys-new"] } },
        cognigy: {
          keys: [{ name: "one", key: "cognigy-key" }],
          signature: { scheme: "standard-webhooks", secrets: [cognigySecret] },
        },
      },
      callers: [
        {
          name: "signer",
          scopes: ["tools:execute", "tools:read"],
          signature: { scheme: "standard-webhooks", secrets: [rotated, published.secret] },
        },
        { name: "hubber", signature: { scheme: "hub", secrets: ["hub-secret"] } },
        { name: "both", keys: ["both-key"], signature: { scheme: "hub", secrets: ["both-secret"] } },
        { name: "plain", keys: ["plain-key"] },
      ],
    },
    plugins: [{ use: testTool("echo") }, { use: testTool("book"), config: { baseUrl: office.url } }],
  });
}, 60_000);
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await office[Symbol.asyncDispose]();
});
afterEach(() => vi.useRealTimers());

type Headers = Record<string, string>;

async function send(path: string, body: string | Uint8Array<ArrayBuffer>, headers: Headers = {}) {
  const {
    status,
    text,
    headers: answered,
  } = await readAnswer(
    fetch(`${service.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body,
    }),
  );
  return { status, text, answered };
}

function hub(secret: string, body: string | Uint8Array, encoding: "hex" | "base64" = "hex"): Headers {
  return { "x-hub-signature-256": `sha256=${createHmac("sha256", secret).update(body).digest(encoding)}` };
}

/** Signs like the published library. */
function webhook(secret: string, body: string, id: string, at = new Date()): Headers {
  return {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": new Webhook(secret).sign(id, at, body),
  };
}

const auditLines = () =>
  readFileSync(join(service.dataDir, "audit.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe("webhooks signed by X-Hub-Signature-256 (hazard 22)", () => {
  const gateway = '{"conversation_id":"c","tool_calls":[{"id":"a","function":{"name":"echo","arguments":"{}"}}]}';
  const run = '{"run_id":"r","tool_calls":[{"id":"a","function":{"name":"echo","arguments":"{}"}}]}';
  const refused = { status: 401, text: '{"error":"Invalid or missing webhook key."}' };

  test.each(["hex", "base64"] as const)("are accepted in %s, with either of two live secrets", async (encoding) => {
    for (const secret of ["genesys-old", "genesys-new"]) {
      const streamed = await send("/llm-gateway/tools", gateway, hub(secret, gateway, encoding));
      expect([streamed.status, streamed.text]).toEqual([200, expect.stringContaining("event: tool_result")]);
      expect(streamed.text).toContain('\\"source\\":\\"genesys\\"');
      expect((await send("/webhook/tool-calls", run, hub(secret, run, encoding))).status).toBe(202);
    }
  });

  test("are answered with 401 in the platform's format if the signature is wrong, missing or foreign", async () => {
    for (const path of ["/llm-gateway/tools", "/webhook/tool-calls"]) {
      expect(await send(path, run)).toMatchObject(refused);
      expect(await send(path, run, hub("genesys-newer", run))).toMatchObject(refused);
      expect(await send(path, run, hub("genesys-new", `${run} `))).toMatchObject(refused);
      expect(await send(path, run, { authorization: "Bearer genesys-new" })).toMatchObject(refused);
    }
  });
});

describe("a key and a signature together", () => {
  const path = "/api/v1/llm/tool-callback";
  const body = '{"tool_call_id":"signed-1","name":"echo","arguments":{"a":1}}';
  const key = { "x-cognigy-ai-api-key": "cognigy-key" };
  const refused = {
    status: 401,
    text: '{"error":"Invalid or missing X-Cognigy-AI-API-Key header. Scope llm:tools:execute required."}',
  };

  test("are both required, and the poll is signed over its empty body", async () => {
    const signed = webhook(cognigySecret, body, "msg-1");
    expect(await send(path, body, { ...key, ...signed })).toMatchObject({ status: 200 });
    expect(await send(path, body, key)).toMatchObject(refused);
    expect(await send(path, body, signed)).toMatchObject(refused);
    expect(await send(path, body, { ...signed, "x-cognigy-ai-api-key": "wrong" })).toMatchObject(refused);
    expect(await send(path, body.replace("1}", "2}"), { ...key, ...signed })).toMatchObject(refused);
    const poll = (headers: Headers) => readAnswer(fetch(`${service.url}${path}/signed-1`, { headers }));
    expect(await poll({ ...key, ...webhook(cognigySecret, "", "msg-2") })).toMatchObject({ status: 200 });
    expect(await poll(key)).toMatchObject(refused);
    expect(await poll({ ...key, ...webhook(rotated, "", "msg-2") })).toMatchObject(refused);
  });

  test("a caller's key is refused without its signature, on every entry point", async () => {
    const bearer = { authorization: "Bearer both-key" };
    expect((await send("/tools/echo", "{}", { ...bearer, ...hub("both-secret", "{}") })).status).toBe(200);
    const missing = await send("/tools/echo", "{}", bearer);
    expect([missing.status, missing.text]).toEqual([
      401,
      '{"error":"A valid signature is needed in addition to the key: it is missing, wrong or too old"}',
    ]);
    expect(missing.answered.get("www-authenticate")).toBe("Bearer");
    expect((await send("/tools/echo", "{}", hub("both-secret", "{}"))).status).toBe(401);
    const call = { call: { id: "x", name: "echo", arguments: {} } };
    expect((await rpc(service.url, "ToolExecutor/ExecuteTool", call, "both-key")).body).toMatchObject({
      code: "unauthenticated",
    });
    expect((await fetch(`${service.url}/tools`, { headers: bearer })).status).toBe(401);
    expect((await rpc(service.url, "ToolExecutor/ExecuteTool", call, "plain-key")).status).toBe(200);
  });
});

describe("requests to /tools/{name} signed by Standard Webhooks", () => {
  const outcome = async (body: string, headers: Headers, name = "echo") => {
    const { status, text } = await send(`/tools/${name}`, body, headers);
    return { status, ...(JSON.parse(text) as Record<string, unknown>) };
  };

  test("the library's own signature finds the caller, with either of two live secrets (hazard 22)", async () => {
    for (const secret of [rotated, published.secret]) {
      const answer = await outcome('{"a":1}', webhook(secret, '{"a":1}', `msg-${secret}`));
      expect(answer).toMatchObject({ status: 200, outcome: "OK", callId: `msg-${secret}` });
      expect(answer).toMatchObject({ value: { args: { a: 1 }, source: "signer" } });
    }
  });

  test("the published example is valid at its time, and invalid 301 s later (hazard 22)", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: 1_614_265_330_000 });
    expect(await outcome(published.body, published.headers)).toMatchObject({ status: 200, outcome: "OK" });
    vi.setSystemTime(1_614_265_330_000 + 301_000);
    expect(await outcome(published.body, published.headers)).toMatchObject({ status: 401 });
  });

  test("a message that is sent again gets the same answer, whatever its other headers (hazard 23)", async () => {
    const body = '{"seat":"12A"}';
    const signed = webhook(rotated, body, "msg-book");
    const first = await outcome(body, signed, "book");
    expect(first).toMatchObject({ status: 200, outcome: "OK", replayed: false });
    for (const key of [{}, { "idempotency-key": "another" }] as Headers[]) {
      expect(await outcome(body, { ...signed, ...key }, "book")).toMatchObject({ outcome: "OK", replayed: true });
    }
    // The sender's own retry: the same id with a new time.
    const later = webhook(rotated, body, "msg-book", new Date(Date.now() + 5000));
    expect(await outcome(body, later, "book")).toMatchObject({ outcome: "OK", replayed: true });
    expect(office.received.filter(({ path }) => path === "/seats/12A")).toHaveLength(1);
  });

  test("the bytes are signed as sent, not their meaning", async () => {
    const body = '{ "name" : "Zoë \\u2028 🙂",\r\n"n":1.50 }\n';
    const signed = webhook(rotated, body, "msg-bytes");
    expect(await outcome(body, signed)).toMatchObject({ status: 200 });
    expect(await outcome(JSON.stringify(JSON.parse(body)), signed)).toMatchObject({ status: 401 });
  });

  test("bytes that are not UTF-8 are signed like any other, and then refused as a body", async () => {
    const bytes = new Uint8Array([0x22, 0xff, 0xfe, 0x22]);
    expect((await send("/tools/echo", bytes, hub("hub-secret", bytes))).status).toBe(400);
    expect((await send("/tools/echo", bytes, hub("hub-wrong", bytes))).status).toBe(401);
  });

  test("a body over the limit is 413 before any signature is computed, and 415 comes after the signature", async () => {
    const body = JSON.stringify({ a: "x".repeat(4096) });
    expect((await send("/tools/echo", body, webhook(rotated, body, "msg-long"))).status).toBe(413);
    expect((await send("/tools/echo", body)).status).toBe(401);
    const odd = { "content-type": "text/plain" };
    expect((await send("/tools/echo", "{}", { ...odd, ...hub("hub-secret", "{}") })).status).toBe(415);
    expect((await send("/tools/echo", "{}", { ...odd, ...hub("hub-wrong", "{}") })).status).toBe(401);
    expect((await send("/tools/echo", "", hub("hub-secret", ""))).status).toBe(400);
  });

  test("a GET is signed over its empty body; X-Hub-Signature-256 authenticates none", async () => {
    const find = (headers: Headers) => readAnswer(fetch(`${service.url}/calls/msg-book`, { headers }));
    expect((await find(webhook(rotated, "", "msg-find"))).status).toBe(200);
    expect((await find(hub("hub-secret", ""))).status).toBe(401);
  });

  test("are accepted over HTTP/2, and by MCP", async () => {
    const session = connect(service.url);
    const stream = session.request({
      ":method": "POST",
      ":path": "/tools/echo",
      "content-type": "application/json",
      ...webhook(rotated, "{}", "msg-h2"),
    });
    stream.end("{}");
    expect(JSON.parse(await textOf(stream))).toMatchObject({ outcome: "OK", callId: "msg-h2" });
    session.close();
    const list = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
    expect((await send("/mcp", list, webhook(rotated, list, "msg-mcp"))).text).toContain('"book"');
    expect((await send("/mcp", list, webhook(cognigySecret, list, "msg-mcp"))).status).toBe(401);
  });
});

test("a refused signature is counted, logged and audited with its reason, and with the caller of its key", async () => {
  // In a second with many refusals, one line of the audit log counts all further ones.
  const line = await until(async () => {
    await send("/tools/echo", "{}", { authorization: "Bearer both-key", ...hub("both-wrong", "{}") });
    return auditLines().find(
      (one) => one["caller"] === "both" && one["reason"] === "the signature does not match the body",
    );
  });
  expect(line).toMatchObject({
    event: "access_refused",
    code: "unauthenticated",
    target: "POST /tools/:name",
    tenant: "default",
  });
  expect(service.logs()).toMatch(
    /"reason":"(?:X-Hub|webhook-|the signature|no valid key)[^"]*","msg":"a request was refused"/,
  );
  const metrics = await service.telemetry.prometheus();
  expect(metrics).toMatch(/jackfield_access_refused_total\{[^}]*POST \/tools\/:name[^}]*\} [1-9]/);
  for (const secret of ["genesys-old", "hub-secret", "both-secret", rotated, published.secret]) {
    expect(service.logs() + JSON.stringify(auditLines())).not.toContain(secret);
  }
});
