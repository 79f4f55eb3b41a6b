import { create } from "@bufbuild/protobuf";
import { describe, expect } from "vitest";
import { JobSchema } from "../../gen/jackfield/v1/jobs_pb.ts";
import { genesys } from "../../src/adapters/genesys/index.ts";
import { createCredential } from "../../src/outbound/credential.ts";
import { createTokenSources } from "../../src/outbound/oauth.ts";
import { Secret } from "../../src/secret.ts";
import { startDownstream, startOutbound } from "../outbound/downstream.ts";
import { until } from "../support/http-client.ts";
import { useFakeTimeouts } from "../support/fake-timeouts.ts";
import { testRequirement } from "../support/test-requirement.ts";

const job = create(JobSchema, { id: "job-1", context: { runId: "run-1" } });
const lifetimeMs = 3_600_000;

/** Genesys as the service connects it, on a clock that the test controls. `silent`: the platform answers only requests for tokens. */
async function connect({ silent = false } = {}) {
  const platform = await startDownstream((response, { url }, nth) => {
    if (url !== "/oauth/token") return void (silent || response.writeHead(204).end());
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ access_token: `token-${nth}`, token_type: "bearer", expires_in: lifetimeMs / 1000 }));
  });
  const outbound = startOutbound();
  const clock = { now: 5000 };
  const tokenUrl = `${platform.origin}/oauth/token`;
  const clientSecret = new Secret("geheim");
  const client = { apiBaseUrl: platform.origin, tokenUrl, clientId: "me", clientSecret };
  const tokenSource = createTokenSources({ send: outbound.send, now: () => clock.now });
  const { delivery, modelGateway, credentials } = genesys.connect(
    {
      ...genesys.complete(client, () => {}),
      ...genesys.defaults,
      sanitize: "text",
      allowUnauthenticated: true,
      enabled: true,
    },
    {
      send: outbound.send,
      tokenSource,
      measure: () => {},
      log: { error() {}, warn() {}, info() {} },
      version: "1.2.3",
      callsPerRequest: 64,
      shutdown: new AbortController().signal,
      service: { hosts: [], metadataUrl: undefined, windowMs: 86_400_000, sharedSecret: async () => "s" },
    },
  );
  const own = createCredential({ kind: "oauth", tokenUrl, clientId: "me", clientSecret, scopes: ["own"] }, tokenSource);
  return {
    clock,
    tokenUrl,
    requests: platform.requests,
    deliver: () => delivery!({ job }, AbortSignal.any([])),
    /** A token for each use. */
    uses: {
      "001.10": async () => {
        await delivery!({ job }, AbortSignal.any([]));
        return platform.requests.at(-1)?.headers.authorization;
      },
      "002.10": () => modelGateway!.token.get(),
      "000.13": () => credentials!["genesys"]!.get(),
      own: async () => (await own.headers())["authorization"],
    },
    async [Symbol.asyncDispose]() {
      await outbound.close();
      await platform[Symbol.asyncDispose]();
    },
  };
}

describe("Genesys with its default settings", () => {
  for (const [id, use, marginMs, what] of [
    ["001.10", "001.10", 300_000, "for the results of runs"],
    ["002.10", "002.10", 60_000, "for the model gateway"],
    ["000.13", "000.13", 60_000, "that tools use"],
    ["000.13", "own", 60_000, "of a credential of the file"],
  ] as const) {
    testRequirement(id, `a token ${what} is replaced ${marginMs / 1000} s before it expires`, async () => {
      await using platform = await connect();
      const { clock, uses } = platform;
      const first = await uses[use]();
      clock.now += lifetimeMs - marginMs - 1;
      expect(await uses[use]()).toBe(first);
      clock.now += 1;
      expect(await uses[use]()).not.toBe(first);
      expect(platform.requests.filter(({ url }) => url === "/oauth/token")).toHaveLength(2);
    });
  }

  testRequirement("001.8", "a delivery is aborted after 10 s, and retried", async () => {
    await using platform = await connect({ silent: true });
    using timeouts = useFakeTimeouts(10_000);
    let ended = false;
    const result = platform.deliver().finally(() => (ended = true));
    await until(() => platform.requests.at(-1)?.url === "/api/v2/ai/assistants/runs/run-1/tool_calls");
    timeouts.advance(9_999);
    // An aborted delivery would have ended by the time that another request is answered.
    await (await fetch(platform.tokenUrl, { method: "POST" })).text();
    expect(ended).toBe(false);
    timeouts.advance(1);
    expect(await result).toMatchObject({ kind: "retry" });
  });
});
