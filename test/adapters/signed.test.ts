import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createCognigyAdapter } from "../../src/adapters/cognigy/index.ts";
import { cognigyInstruments } from "../../src/adapters/cognigy/payloads.ts";
import { createHttpAdapter } from "../../src/adapters/http/index.ts";
import { createRequestAuthenticator, localCaller } from "../../src/auth/authenticator.ts";
import type { KeyedCaller } from "../../src/config/caller-settings.ts";
import { Secret } from "../../src/secret.ts";
import { startAdapter, until } from "./start-adapter.ts";

// Signed requests to adapters with their own keys, and to those of the configured callers.

type Headers = Record<string, string>;

const secretText = "the secret of the callback";
const webhook = {
  scheme: "standard-webhooks",
  secrets: [new Secret(`whsec_${Buffer.from(secretText).toString("base64")}`)],
  replayWindowS: 300,
} as const;
const hub = { scheme: "hub", secrets: [new Secret("hub-secret")], replayWindowS: 300 } as const;

function signedAsWebhook(body: string, id = "msg-1"): Headers {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const digest = createHmac("sha256", secretText).update(`${id}.${timestamp}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${digest}` };
}

function signedAsHub(body: string): Headers {
  return { "x-hub-signature-256": `sha256=${createHmac("sha256", "hub-secret").update(body).digest("hex")}` };
}

const wrongBody = "the signature does not match the body";

describe("callbacks with a key and a signature", () => {
  const path = "/api/v1/llm/tool-callback";
  const body = '{"tool_call_id":"1","name":"echo","arguments":{"a":1}}';
  const key = { "x-cognigy-ai-api-key": "right" };

  function cognigy(keys = [{ name: "one", key: new Secret("right") }]) {
    const settings = {
      answerWithinMs: 5000,
      sanitize: "text",
      maxOutput: 256,
      maxPending: 10,
      corsOrigins: [],
    } as const;
    const adapter = createCognigyAdapter({ ...settings, keys, signature: webhook });
    return startAdapter({ adapter, instruments: cognigyInstruments, tools: { echo: (args) => args } });
  }

  test("need both, and the audit log records which of them was wrong", async () => {
    await using app = await cognigy();
    expect((await app.post(path, body, { ...key, ...signedAsWebhook(body) })).status).toBe(200);
    expect(app.seen.map(({ caller }) => caller)).toEqual(["cognigy"]);
    const refusals: [Headers, string, string | undefined][] = [
      [key, "webhook-id, webhook-timestamp or webhook-signature is missing", "cognigy"],
      [{ ...key, ...signedAsWebhook(`${body} `) }, wrongBody, "cognigy"],
      [signedAsWebhook(body), "no valid key", undefined],
    ];
    for (const [headers, reason, caller] of refusals) {
      const response = await app.post(path, body, headers);
      expect([response.status, await response.text()]).toEqual([401, expect.stringContaining("Invalid or missing")]);
      await until(() => app.refused.length > 0);
      const [refusal] = app.refused.splice(0);
      expect([refusal?.reason, refusal?.caller?.name]).toEqual([reason, caller]);
    }
    expect(app.seen).toHaveLength(1);
  });

  test("are refused before the body is parsed if the signature is missing", async () => {
    await using app = await cognigy();
    expect((await app.post(path, "{ not json", key)).status).toBe(401);
    expect((await app.post(path, "{ not json", { ...key, ...signedAsWebhook("{ not json") })).status).toBe(400);
  });

  test("have polls that are signed over an empty body", async () => {
    await using app = await cognigy();
    await app.post(path, body, { ...key, ...signedAsWebhook(body) });
    const poll = async (headers: Headers) => (await fetch(`${app.url}${path}/1`, { headers })).status;
    expect(await poll({ ...key, ...signedAsWebhook("") })).toBe(200);
    expect(await poll({ ...key, ...signedAsWebhook(body) })).toBe(401);
    await until(() => app.refused.length > 0);
    expect(app.refused[0]).toMatchObject({ reason: wrongBody, caller: { name: "cognigy" } });
    expect(await poll(key)).toBe(401);
  });

  test("act as the platform if they are signed and no key is configured", async () => {
    await using app = await cognigy([]);
    expect((await app.post(path, body, signedAsWebhook(body))).status).toBe(200);
    expect((await app.post(path, body, signedAsWebhook(`${body} `))).status).toBe(401);
    await until(() => app.refused.length > 0);
    expect(app.refused[0]).toMatchObject({ reason: wrongBody, caller: undefined });
    expect(app.seen.map(({ caller }) => caller)).toEqual(["cognigy"]);
  });
});

describe("requests of callers that sign", () => {
  const caller = (name: string) => ({ ...localCaller, name });
  const callers: KeyedCaller[] = [
    { caller: caller("both"), keys: [new Secret("both-key")], signature: hub },
    { caller: caller("signer"), keys: [], signature: webhook },
  ];

  function http() {
    const settings = {
      answerWithinMs: 5000,
      publicUrl: "",
      corsOrigins: [],
      sanitize: "text",
      maxOutput: 256,
    } as const;
    return startAdapter({
      adapter: createHttpAdapter(settings, { version: "1", metadataUrl: "https://x/meta" }),
      tools: { echo: (args) => args },
      authenticate: createRequestAuthenticator(callers),
    });
  }

  test("report what is missing, with the matching challenge", async () => {
    await using app = await http();
    const send = async (headers: Headers) => {
      const response = await app.post("/tools/echo", "{}", headers);
      const challenge = response.headers.get("www-authenticate") ?? "";
      const { error } = (await response.json()) as { error?: string };
      return [response.status, error, challenge.includes("invalid_token")];
    };
    const besideKey = "A valid signature is needed in addition to the key: it is missing, wrong or too old";
    const alone = "A valid key or signature is needed: the signature is missing, wrong or too old";
    const bearer = { authorization: "Bearer both-key" };
    expect(await send({ ...bearer, ...signedAsHub("{}") })).toEqual([200, undefined, false]);
    expect(await send(bearer)).toEqual([401, besideKey, true]);
    expect(await send({ ...bearer, ...signedAsHub("[]") })).toEqual([401, besideKey, true]);
    expect(await send({ "x-api-key": "both-key" })).toEqual([401, besideKey, true]);
    expect(await send({})).toEqual([401, alone, false]);
    expect(await send({ authorization: "Bearer wrong" })).toEqual([401, alone, true]);
    expect(await send({ "x-api-key": "wrong" })).toEqual([401, alone, true]);
    expect(await send(signedAsWebhook("[]"))).toEqual([401, alone, true]);
    expect(await send(signedAsWebhook("{}"))).toEqual([200, undefined, false]);
  });

  test("use the signed message id as the call id, whatever Idempotency-Key says", async () => {
    await using app = await http();
    for (const headers of [{}, { "idempotency-key": "another" }] as Headers[]) {
      const response = await app.post("/tools/echo", "{}", { ...headers, ...signedAsWebhook("{}", "msg-7") });
      expect(((await response.json()) as { callId: string }).callId).toBe("msg-7");
    }
    const response = await app.post("/tools/echo", "{}", {
      authorization: "Bearer both-key",
      "idempotency-key": "own",
      ...signedAsHub("{}"),
    });
    expect(((await response.json()) as { callId: string }).callId).toBe("own");
  });

  test("are refused without a body and a valid signature", async () => {
    await using app = await http();
    const get = async (headers: Headers) => await fetch(`${app.url}/openapi.json`, { headers });
    const bare = await get({});
    expect([bare.status, await bare.json()]).toEqual([
      401,
      { error: "A valid key or signature is needed: the signature is missing, wrong or too old" },
    ]);
    expect((await get(signedAsWebhook("x"))).status).toBe(401);
  });
});

describe("a credential that is checked asynchronously", () => {
  function http(authenticate: () => Promise<typeof localCaller | undefined>) {
    const settings = {
      answerWithinMs: 5000,
      publicUrl: "",
      corsOrigins: [],
      sanitize: "text",
      maxOutput: 256,
    } as const;
    return startAdapter({
      adapter: createHttpAdapter(settings, { version: "1", metadataUrl: undefined }),
      tools: { echo: (args) => args },
      authenticate,
    });
  }

  test("admits the request, refuses it, or fails it", async () => {
    const answers = [
      async () => localCaller,
      async () => undefined,
      async () => Promise.reject(new Error("the keys are away")),
    ];
    await using app = await http(async () => await answers.shift()!());
    const send = async () => {
      const response = await app.post("/tools/echo", "{}");
      return [response.status, ((await response.json()) as { error?: string }).error];
    };
    expect(await send()).toEqual([200, undefined]);
    expect(await send()).toEqual([401, "A valid key is needed: send Authorization: Bearer KEY"]);
    expect(await send()).toEqual([500, "Internal server error"]);
    expect(app.seen).toHaveLength(1);
  });
});
