import type { ServerResponse } from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import type { CredentialConfig } from "../../src/config/config.ts";
import { createCredential } from "../../src/outbound/credential.ts";
import { createTokenSources } from "../../src/outbound/oauth.ts";
import { Secret } from "../../src/secret.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { rejection, scope, startDownstream, startOutbound } from "./downstream.ts";

const fixed: [CredentialConfig, Record<string, string>][] = [
  [{ kind: "bearer", token: new Secret("token-1") }, { authorization: "Bearer token-1" }],
  [
    { kind: "basic", username: "jf", password: new Secret("pass-1") },
    { authorization: `Basic ${Buffer.from("jf:pass-1").toString("base64")}` },
  ],
  [{ kind: "header", name: "X-Key", value: new Secret("key-1") }, { "x-key": "key-1" }],
];

function closing<T extends AsyncDisposable>(resource: T): T {
  onTestFinished(async () => resource[Symbol.asyncDispose]());
  return resource;
}

/** A downstream that accepts one token, and the endpoint that grants tokens `t-1`, `t-2`, … */
async function platform(accepted: { token: string; granting?: boolean; refusal?: number }) {
  let granted = 0;
  const idp = closing(
    await startDownstream((response) => {
      if (accepted.granting === false) return response.writeHead(accepted.refusal ?? 503).end("down");
      granted += 1;
      response.writeHead(200, { "content-type": "application/json" });
      return response.end(JSON.stringify({ access_token: `t-${granted}`, token_type: "Bearer", expires_in: 3600 }));
    }),
  );
  const sent: (string | undefined)[] = [];
  const api = closing(
    await startDownstream((response, request) => {
      sent.push(request.headers.authorization);
      response.writeHead(request.headers.authorization === `Bearer ${accepted.token}` ? 200 : 401).end("{}");
    }),
  );
  const outbound = startOutbound();
  const credential = createCredential(
    {
      kind: "oauth",
      tokenUrl: `${idp.origin}/token`,
      clientId: "jf",
      clientSecret: new Secret("secret-1"),
      scopes: ["a", "b"],
    },
    createTokenSources({ send: outbound.send }),
  );
  const http = outbound.httpFor({ ...scope({ origins: [api.origin] }), credential });
  return { sent, http, api, idp, credential, requests: () => idp.requests.length };
}

describe("credentials of tools", () => {
  test.each(fixed)("%o is sent only to the origins of the tool's own configuration", async (config, expected) => {
    const seen: unknown[] = [];
    const answer = (response: ServerResponse, request: { headers: object }) => {
      seen.push(request.headers);
      response.writeHead(200).end("{}");
    };
    const api = closing(await startDownstream(answer));
    const credential = createCredential(config, () => {
      throw new Error("no tokens here");
    });
    const http = startOutbound().httpFor({ ...scope({ origins: [api.origin] }), credential });
    await http(api.origin);
    expect(seen[0]).toMatchObject(expected);
    const [name = ""] = Object.keys(expected);
    await http(api.origin, { headers: { [name]: "the tool's own" } });
    expect(seen[1]).toMatchObject({ [name]: "the tool's own" });
    const foreign = startOutbound({ privateAddresses: ["127.0.0.1"] }).httpFor({
      ...scope({ origins: [] }),
      credential,
    });
    await foreign(api.origin);
    expect(seen[2]).not.toHaveProperty(name);
  });

  testRequirement(
    "000.13",
    "a token is cached, requested once by concurrent calls, and renewed once after a 401",
    async () => {
      const accepted = { token: "t-1" };
      const { http, api, sent, requests } = await platform(accepted);
      await Promise.all([http(api.origin), http(api.origin), http(api.origin)]);
      expect([requests(), sent]).toEqual([1, ["Bearer t-1", "Bearer t-1", "Bearer t-1"]]);
      accepted.token = "t-2";
      await http(api.origin);
      expect([requests(), sent.slice(3)]).toEqual([2, ["Bearer t-1", "Bearer t-2"]]);
      accepted.token = "none";
      expect(String(await rejection(http(api.origin)))).toContain("External API returned 401");
      expect(sent.slice(5)).toEqual(["Bearer t-2", "Bearer t-3"]);
    },
  );

  testRequirement("000.13", "a refused token is not sent again if no other one can be obtained", async () => {
    const accepted = { token: "t-1", granting: true };
    const { http, api, sent } = await platform(accepted);
    await http(api.origin);
    Object.assign(accepted, { token: "t-2", granting: false });
    expect(String(await rejection(http(api.origin)))).toContain("OAuth token fetch failed with 503: down");
    expect(String(await rejection(http(api.origin)))).toContain("OAuth token fetch failed with 503: down");
    expect(sent).toEqual(["Bearer t-1", "Bearer t-1"]);
    accepted.granting = true;
    await http(api.origin);
    expect(sent.at(-1)).toBe("Bearer t-2");
  });

  test("a token that its endpoint refuses for now is requested once, without the retries of a downstream", async () => {
    const { http, api, sent, requests } = await platform({ token: "t-1", granting: false, refusal: 429 });
    expect(await rejection(http(api.origin))).toMatchObject({ name: "TokenError", status: 429 });
    expect([requests(), sent]).toEqual([1, []]);
  });

  test("the secrets of a credential are known in advance, except for tokens", async () => {
    const secretsOf = (config: CredentialConfig) =>
      createCredential(config, () => {
        throw new Error("no tokens here");
      }).secrets;
    const pair = Buffer.from("jf:pass-1").toString("base64");
    expect(fixed.map(([config]) => secretsOf(config))).toEqual([["token-1"], [pair, "pass-1"], ["key-1"]]);
    expect((await platform({ token: "t-1" })).credential.secrets).toEqual([]);
  });
});
