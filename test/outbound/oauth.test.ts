import type { ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { Secret } from "../../src/secret.ts";
import { createTokenSource, createTokenSources } from "../../src/outbound/oauth.ts";
import { describeTokenFetch, describeTokenRetrieval, TokenError } from "../../src/outbound/token-failure.ts";
import { secretsIn } from "../../src/outbound/token-request.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { deadPort, type Downstream, rejection, startDownstream, startOutbound } from "./downstream.ts";

const secret = "s-e_cret/+=1";

function grant(response: ServerResponse, nth: number, expires: unknown): void {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ access_token: `token-${nth}`, token_type: "bearer", expires_in: expires }));
}

async function startPlatform(expires: unknown) {
  const api = await startDownstream((response, _request, nth) => grant(response, nth, expires));
  return Object.assign(api, { tokenUrl: `${api.origin}/oauth/token` });
}

function clientOf(api: Downstream, over = {}) {
  return {
    tokenUrl: `${api.origin}/oauth/token`,
    clientId: "3f2a-1b",
    clientSecret: new Secret(secret),
    scopes: "api:access admin:ai:assistant",
    refreshBeforeMs: 60_000,
    describe: describeTokenFetch,
    ...over,
  };
}

describe("a token", () => {
  testRequirement(
    ["000.13", "fault-000.url"],
    "is requested by client credentials in the Basic header, never in the URL, with the scopes",
    async () => {
      await using api = await startPlatform(3600);
      await using outbound = startOutbound();
      expect(await createTokenSource({ ...clientOf(api), send: outbound.send }).get()).toBe("token-1");
      const [request] = api.requests;
      expect(request).toMatchObject({ method: "POST", url: "/oauth/token" });
      expect(request!.headers["authorization"]).toBe(`Basic ${Buffer.from(`3f2a-1b:${secret}`).toString("base64")}`);
      expect(request!.headers["content-type"]).toMatch(/^application\/x-www-form-urlencoded/);
      expect(Object.fromEntries(new URLSearchParams(request!.body))).toEqual({
        grant_type: "client_credentials",
        scope: "api:access admin:ai:assistant",
      });
    },
  );

  for (const [id, margin] of [
    ["000.13", 60_000],
    ["001.10", 300_000],
  ] as const) {
    testRequirement(id, `is cached, and replaced ${margin / 1000} s before it expires`, async () => {
      await using api = await startPlatform(3600);
      await using outbound = startOutbound();
      const clock = { now: 5000 };
      const source = createTokenSource({
        ...clientOf(api, { refreshBeforeMs: margin }),
        send: outbound.send,
        now: () => clock.now,
      });
      await source.get();
      clock.now += 3_600_000 - margin - 1;
      expect(await source.get()).toBe("token-1");
      clock.now += 1;
      expect(await source.get()).toBe("token-2");
      expect(api.requests).toHaveLength(2);
    });
  }

  testRequirement(
    "000.13",
    "needed by 100 at once is requested once, at the start and after a 401 (hazard 51)",
    async () => {
      await using api = await startPlatform(3600);
      await using outbound = startOutbound();
      const source = createTokenSource({ ...clientOf(api), send: outbound.send });
      const first = await Promise.all(Array.from({ length: 100 }, () => source.get()));
      expect(new Set(first)).toEqual(new Set(["token-1"]));
      const second = await Promise.all(Array.from({ length: 100 }, () => source.refresh("token-1")));
      expect(new Set(second)).toEqual(new Set(["token-2"]));
      expect(await source.refresh("token-1")).toBe("token-2");
      expect(api.requests).toHaveLength(2);
    },
  );

  for (const expires of [0, -5, "-1", 30]) {
    test(`that expires within the margin (${JSON.stringify(expires)}) is used for a second: no tight loop (hazard 51)`, async () => {
      await using api = await startPlatform(expires);
      await using outbound = startOutbound();
      const clock = { now: 0 };
      const source = createTokenSource({ ...clientOf(api), send: outbound.send, now: () => clock.now });
      for (let n = 0; n < 50; n += 1) await source.get();
      expect(api.requests).toHaveLength(1);
      clock.now = 1000;
      expect(await source.get()).toBe("token-2");
    });
  }

  for (const [expires, seconds] of [
    ["3600", 3600],
    [undefined, 300],
    [null, 300],
    ["soon", 300],
    ["", 300],
    [{}, 300],
  ] as const) {
    test(`with expires_in ${JSON.stringify(expires)} counts as one of ${seconds} s`, async () => {
      await using api = await startPlatform(expires);
      await using outbound = startOutbound();
      const clock = { now: 0 };
      const source = createTokenSource({ ...clientOf(api), send: outbound.send, now: () => clock.now });
      await source.get();
      clock.now = (seconds - 60) * 1000 - 1;
      expect(await source.get()).toBe("token-1");
      clock.now += 1;
      expect(await source.get()).toBe("token-2");
    });
  }

  test("is shared by sources with the same URL, client and scopes, and by no others", async () => {
    await using api = await startPlatform(3600);
    await using outbound = startOutbound();
    const sourceOf = createTokenSources({ send: outbound.send });
    expect(await sourceOf(clientOf(api)).get()).toBe("token-1");
    expect(
      await sourceOf(clientOf(api, { scopes: "admin:ai:assistant  api:access", refreshBeforeMs: 300_000 })).get(),
    ).toBe("token-1");
    expect(await sourceOf(clientOf(api, { scopes: "other" })).get()).toBe("token-2");
    expect(await sourceOf(clientOf(api, { clientId: "other" })).get()).toBe("token-3");
  });

  test("that is still valid is used while the endpoint is down, with at most one request per second", async () => {
    let down = false;
    await using api = await startDownstream((response, _request, nth) => {
      if (down) response.writeHead(500).end("down");
      else grant(response, nth, 3600);
    });
    await using outbound = startOutbound();
    const clock = { now: 0 };
    const source = createTokenSource({ ...clientOf(api), send: outbound.send, now: () => clock.now });
    await source.get();
    down = true;
    clock.now = 3_590_000;
    for (let n = 0; n < 20; n += 1) expect(await source.get()).toBe("token-1");
    expect(api.requests).toHaveLength(2);
    clock.now = 3_600_000;
    expect(await rejection(source.get())).toBeInstanceOf(TokenError);
    down = false;
    expect(await source.get()).toBe("token-4");
  });
});

describe("a token that cannot be obtained", () => {
  const failing = async (
    status: number,
    body: string,
    describe: typeof describeTokenRetrieval,
    scopes = "ai:assistant:run:write",
  ) => {
    await using api = await startDownstream((response) => response.writeHead(status, { "retry-after": "7" }).end(body));
    await using outbound = startOutbound();
    return (await rejection(
      createTokenSource({ ...clientOf(api, { scopes, describe }), send: outbound.send }).get(),
    )) as TokenError;
  };

  testRequirement("000.13", "is reported with status and body", async () => {
    const reason = await failing(503, "try later", describeTokenFetch);
    expect(reason.message).toBe("OAuth token fetch failed with 503: try later");
    expect(reason).toMatchObject({ status: 503, retryAfter: "7" });
    expect((await failing(302, "moved", describeTokenFetch)).message).toBe("OAuth token fetch failed with 302: moved");
  });

  testRequirement("001.10", "is reported with advice for 401 and 403, and with the reason for others", async () => {
    expect((await failing(401, "{}", describeTokenRetrieval)).message).toBe(
      "OAuth authentication failed. Verify client_id and client_secret.",
    );
    expect((await failing(403, "{}", describeTokenRetrieval)).message).toBe(
      "OAuth scope mismatch. Ensure the application has ai:assistant:run:write.",
    );
    expect((await failing(500, "oops", describeTokenRetrieval)).message).toBe("Token retrieval failed: 500 oops");
  });

  test("never reveals the secret, echoed in plain or in the form that was sent", async () => {
    const basic = Buffer.from(`3f2a-1b:${secret}`).toString("base64");
    const reason = await failing(400, `bad ${secret} and ${basic}`, describeTokenFetch);
    expect(reason.message).toBe("OAuth token fetch failed with 400: bad [redacted] and [redacted]");
  });

  test("is reported if nothing listens, the answer is not JSON, or it contains no token", async () => {
    await using outbound = startOutbound();
    const origin = `http://127.0.0.1:${await deadPort()}`;
    const source = createTokenSource({ ...clientOf({ origin } as Downstream), send: outbound.send });
    expect((await rejection(source.get())).message).toBe("Token retrieval failed: External API could not be reached.");
    for (const body of ["<html>", "{}", "null", "[]", '{"access_token":7}', '{"access_token":""}']) {
      expect((await failing(200, body, describeTokenRetrieval)).message, body).toBe(
        "Token retrieval failed: the answer contains no token",
      );
    }
  });

  test("is reported in time if the endpoint is silent, and requested again at the next use", async () => {
    await using api = await startDownstream((response, _request, nth) => {
      if (nth > 1) grant(response, nth, 3600);
    });
    await using outbound = startOutbound();
    const source = createTokenSource({ ...clientOf(api), send: outbound.send, timeoutMs: 50 });
    expect((await rejection(source.get())).message).toBe(
      "Token retrieval failed: the token endpoint did not answer in time",
    );
    expect(await source.get()).toBe("token-2");
  });
});

describe("the secrets of a token endpoint's answer", () => {
  test.each([
    ['{"access_token":"a\\u0062c"}', ["a\\u0062c", "abc"]],
    ['{"access_token" : "abc", "refresh_token":"def","x":"y"}', ["abc", "def"]],
    ["access_token=abc&id_token=def&scope=x", ["abc", "def"]],
    ["{'client_secret': abc}", ["abc"]],
    ['{"access_token":"ab\\q', ["ab\\q"]],
    ['{"access_token":"", "id_token":"abc", "refresh_token":"abc"}', ["abc"]],
    ['{"token":"abc"}', []],
  ])("in %s are %j", (answer, secrets) => {
    expect(secretsIn(answer)).toEqual(secrets);
  });

  test("are passed on for redaction, whatever happens to the answer", async () => {
    const hidden: string[] = [];
    const hide = (text: string) => hidden.push(text);
    await using api = await startDownstream((response, _request, nth) =>
      nth === 1
        ? response.end('{"access_token":"winter-1","token_type":"Bearer","refresh_token":"winter-2"}')
        : response.writeHead(400).end("id_token=winter-3 is of no use"),
    );
    await using outbound = startOutbound();
    const source = createTokenSource({ ...clientOf(api), send: outbound.send, hide });
    expect(await source.get()).toBe("winter-1");
    const reason = (await rejection(source.refresh("winter-1"))) as TokenError;
    expect(reason.message).toBe("OAuth token fetch failed with 400: id_token=[redacted] is of no use");
    expect(hidden).toEqual(["winter-1", "winter-2", "winter-3"]);
  });
});

describe("mistakes of endpoints", () => {
  test.each([
    ["no type", { access_token: "t" }],
    ["a type in another case", { access_token: "t", token_type: "BEARER" }],
    ["tokens that nobody asked for", { access_token: "t", id_token: 7, refresh_token: { a: 1 } }],
  ])("are corrected: %s", async (_what, answer) => {
    await using api = await startDownstream((response) =>
      response.writeHead(200, { "content-type": "text/html" }).end(JSON.stringify(answer)),
    );
    await using outbound = startOutbound();
    expect(await createTokenSource({ ...clientOf(api), send: outbound.send }).get()).toBe("t");
  });

  test("are not corrected for a status other than 200, which is described if there is no body", async () => {
    await using api = await startDownstream((response, _request, nth) =>
      nth === 1
        ? response.writeHead(201).end('{"access_token":"t","token_type":"Bearer"}')
        : response.writeHead(503).end(),
    );
    await using outbound = startOutbound();
    const source = createTokenSource({ ...clientOf(api), send: outbound.send });
    expect((await rejection(source.get())).message).toMatch(/^OAuth token fetch failed with 201: /);
    expect((await rejection(source.get())).message).toBe("OAuth token fetch failed with 503: Service Unavailable");
  });

  test("no scope is sent if none is configured", async () => {
    await using api = await startPlatform(3600);
    await using outbound = startOutbound();
    await createTokenSource({ ...clientOf(api, { scopes: "" }), send: outbound.send }).get();
    expect(api.requests[0]!.body).toBe("grant_type=client_credentials");
  });

  test("a request that cannot be made is reported, without any other text", async () => {
    await using api = await startPlatform(3600);
    const send = async (): Promise<never> => {
      throw new RangeError("winter");
    };
    const source = createTokenSource({ ...clientOf(api), send });
    const reason = (await rejection(source.get())) as TokenError;
    expect(reason.message).toBe("Token retrieval failed: the token request could not be made");
    expect([reason.status, reason.retryAfter]).toEqual([undefined, undefined]);
  });
});
