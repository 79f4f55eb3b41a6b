import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTokenVerifier } from "../../src/auth/oauth-tokens.ts";
import type { OauthConfig } from "../../src/config/config.ts";
import { startReceiver, type Receiver } from "../support/receiver.ts";

// Tokens of a real issuer: an HTTP server with its own keys.

const resource = "https://tools.example.com/mcp";
let issuer: Awaited<ReturnType<typeof startIssuer>>;

/** An issuer that signs with the last of its keys, and publishes those that the test selects. */
async function startIssuer() {
  const published: object[] = [];
  const answers = { down: false, fetches: 0 };
  const server: Receiver = await startReceiver(({ path }) => {
    if (answers.down) return { status: 503 };
    if (path === "/t1/.well-known/openid-configuration")
      return { body: { issuer: `${server.url}/t1`, jwks_uri: `${server.url}/keys` } };
    if (path === "/other/.well-known/openid-configuration")
      return { body: { issuer: `${server.url}/t1`, jwks_uri: `${server.url}/keys` } };
    if (path !== "/keys") return { status: 404 };
    answers.fetches += 1;
    return { body: { keys: published } };
  });
  const pairs = new Map<string, Awaited<ReturnType<typeof generateKeyPair>>>();
  async function addKey(kid: string, publish = true): Promise<void> {
    const pair = await generateKeyPair("RS256");
    pairs.set(kid, pair);
    if (publish) published.push({ ...(await exportJWK(pair.publicKey)), kid, alg: "RS256", use: "sig" });
  }
  await addKey("first");
  const sign = (claims: JWTPayload = {}, { kid = "first", typ = "JWT" } = {}): Promise<string> => {
    const pair = pairs.get(kid);
    if (pair === undefined) throw new Error(`no key ${kid}`);
    const seconds = Math.floor(Date.now() / 1000);
    const all = {
      iss: `${server.url}/t1`,
      aud: resource,
      sub: "ann",
      exp: seconds + 300,
      scope: "tools:read",
      ...claims,
    };
    return new SignJWT(all).setProtectedHeader({ alg: "RS256", kid, typ }).sign(pair.privateKey);
  };
  return {
    url: server.url,
    answers,
    published,
    addKey,
    sign,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

beforeAll(async () => {
  issuer = await startIssuer();
});
afterAll(async () => {
  await issuer[Symbol.asyncDispose]();
});

function configOf(change: Partial<OauthConfig> = {}): OauthConfig {
  return {
    name: "staff",
    issuer: `${issuer.url}/t1`,
    jwksUrl: undefined,
    resource,
    audiences: [resource],
    scopeClaims: ["scope", "scp", "roles"],
    scopes: undefined,
    tenant: "default",
    tools: undefined,
    ...change,
  };
}

async function fetchJson(url: string): Promise<unknown> {
  const response = await fetch(url);
  if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
  return await response.json();
}

const verifier = (config: OauthConfig = configOf(), change: object = {}) =>
  createTokenVerifier([config], { fetchJson, onError: () => {}, ...change });

describe("a token", () => {
  test("authenticates its issuer's subject, with the scopes of all its claims", async () => {
    const verify = verifier();
    const caller = await verify(
      await issuer.sign({ scope: "tools:read x", scp: ["jobs:read"], roles: ["tools:execute"] }),
    );
    expect(caller).toMatchObject({ name: "staff:ann", tenant: "default" });
    expect([...(caller?.scopes ?? [])].sort()).toEqual(["jobs:read", "tools:execute", "tools:read"]);
    const mapped = verifier(
      configOf({ scopes: { "Tools.Run": ["tools:read", "tools:execute"] }, audiences: ["3f1c", "x"] }),
    );
    const granted = await mapped(await issuer.sign({ aud: ["3f1c"], scp: "Tools.Run constructor tools:register" }));
    expect([...(granted?.scopes ?? [])]).toEqual(["tools:read", "tools:execute"]);
    for (const typ of ["JWT", "at+jwt", "anything"]) expect(await verify(await issuer.sign({}, { typ }))).toBeDefined();
  });

  test("is rejected if issuer, audience, time or subject is wrong", async () => {
    const verify = verifier();
    const seconds = Math.floor(Date.now() / 1000);
    for (const claims of [
      { iss: issuer.url },
      { iss: `${issuer.url}/t1/` },
      { iss: undefined },
      { aud: "https://tools.example.com" },
      { aud: undefined },
      { exp: seconds - 90 },
      { exp: undefined },
      { nbf: seconds + 90 },
      { sub: undefined },
      { sub: "" },
      { sub: "x".repeat(181) },
      { sub: 42 },
      { sub: ["ann"] },
      { sub: { id: "ann" } },
      { sub: { id: "ann", length: 3 } },
    ] as unknown as JWTPayload[]) {
      expect([claims, await verify(await issuer.sign(claims))]).toEqual([claims, undefined]);
    }
    expect(await verify(await issuer.sign({ exp: seconds - 30, nbf: seconds + 30 }))).toBeDefined();
  });

  test("is rejected if it is modified, unsigned, or signed with a secret (hazard 21)", async () => {
    const verify = verifier();
    const good = await issuer.sign();
    const [head = "", body = "", signature = ""] = good.split(".");
    const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as object;
    const changed = encoded({ ...claims, sub: "root" });
    const secret = new TextEncoder().encode(JSON.stringify(issuer.published[0]));
    const shared = await new SignJWT({ ...claims }).setProtectedHeader({ alg: "HS256", kid: "first" }).sign(secret);
    for (const bad of [
      `${head}.${changed}.${signature}`,
      `${encoded({ alg: "none" })}.${body}.`,
      `${encoded({ alg: "none", kid: "first" })}.${body}.${signature}`,
      shared,
      `${head}.${body}`,
      "a.b.c",
      "",
    ]) {
      expect([bad, await verify(bad)]).toEqual([bad, undefined]);
    }
    expect(await verify(good)).toBeDefined();
  });
});

describe("an issuer's keys", () => {
  test("are fetched again for an unknown key, at most every 30 s, and kept while the issuer is unreachable", async () => {
    let now = 0;
    const errors: unknown[] = [];
    const verify = verifier(configOf(), { now: () => now, onError: (error: unknown) => errors.push(error) });
    expect(await verify(await issuer.sign())).toBeDefined();
    const before = issuer.answers.fetches;
    await issuer.addKey("second");
    const token = await issuer.sign({}, { kid: "second" });
    expect(await verify(token)).toBeUndefined();
    expect(issuer.answers.fetches).toBe(before);
    now += 30_000;
    expect(await verify(token)).toBeDefined();
    expect(issuer.answers.fetches).toBe(before + 1);
    await issuer.addKey("unpublished", false);
    for (let index = 0; index < 5; index += 1)
      expect(await verify(await issuer.sign({ jti: String(index) }, { kid: "unpublished" }))).toBeUndefined();
    expect(issuer.answers.fetches).toBe(before + 1);
    issuer.answers.down = true;
    now += 700_000;
    expect(await verify(await issuer.sign({ jti: "a" }))).toBeDefined();
    expect(await verify(await issuer.sign({ jti: "b" }, { kid: "unpublished" }))).toBeUndefined();
    expect(await verify(await issuer.sign({ jti: "c" }))).toBeDefined();
    expect(errors.length).toBeGreaterThan(0);
    issuer.answers.down = false;
  });

  test("that could never be fetched are fetched again after a second", async () => {
    let now = 0;
    const verify = verifier(configOf(), { now: () => now });
    issuer.answers.down = true;
    const token = await issuer.sign();
    expect(await verify(token)).toBeUndefined();
    issuer.answers.down = false;
    const before = issuer.answers.fetches;
    now += 999;
    expect(await verify(token)).toBeUndefined();
    expect(issuer.answers.fetches).toBe(before);
    now += 1;
    expect(await verify(token)).toBeDefined();
    expect(issuer.answers.fetches).toBe(before + 1);
  });

  test("are not taken from the metadata of another issuer", async () => {
    const errors: string[] = [];
    const other = configOf({ issuer: `${issuer.url}/other` });
    const verify = verifier(other, { onError: (error: unknown) => errors.push(String(error)) });
    expect(await verify(await issuer.sign({ iss: `${issuer.url}/other` }))).toBeUndefined();
    expect(errors[0]).toContain("of another issuer");
    const named = verifier(configOf({ issuer: `${issuer.url}/other`, jwksUrl: `${issuer.url}/keys` }));
    expect(await named(await issuer.sign({ iss: `${issuer.url}/other` }))).toBeDefined();
  });
});
