import { describe, expect, test } from "vitest";
import { createTokenSource } from "../../src/outbound/oauth.ts";
import { redact } from "../../src/outbound/redact.ts";
import { SentRequests } from "../../src/outbound/sent-requests.ts";
import {
  type DescribeTokenFailure,
  describeTokenFetch,
  describeTokenRetrieval,
} from "../../src/outbound/token-failure.ts";
import { Secret } from "../../src/secret.ts";
import { rejection, scope, startDownstream, startOutbound } from "./downstream.ts";

describe("an access token", () => {
  /** A token endpoint that answers each request with the next of these statuses and bodies, then with a token. */
  async function start(...answers: (readonly [status: number, body: string])[]) {
    const api = await startDownstream((response, _request, nth) => {
      const [status, body] = answers[nth - 1] ?? [200, `{"access_token":"token-${nth}","expires_in":3600}`];
      response.writeHead(status).end(body);
    });
    const outbound = startOutbound();
    const clock = { now: 0 };
    const source = (describeFailure: DescribeTokenFailure = describeTokenFetch) =>
      createTokenSource({
        tokenUrl: `${api.origin}/oauth/token`,
        clientId: "client",
        clientSecret: new Secret("winter"),
        scopes: "",
        refreshBeforeMs: 60_000,
        describe: describeFailure,
        send: outbound.send,
        now: () => clock.now,
      });
    return {
      api,
      clock,
      source,
      async [Symbol.asyncDispose]() {
        await outbound.close();
        await api[Symbol.asyncDispose]();
      },
    };
  }

  test("is requested by a refresh if there is none yet", async () => {
    await using endpoint = await start();
    expect(await endpoint.source().refresh("other")).toBe("token-1");
  });

  test("is refreshed again exactly one second after a failed early refresh", async () => {
    await using endpoint = await start([200, '{"access_token":"token-1","expires_in":3600}'], [500, ""], [500, ""]);
    const source = endpoint.source();
    const requests: number[] = [];
    for (const now of [0, 3_540_000, 3_540_999, 3_541_000, 3_541_999]) {
      endpoint.clock.now = now;
      expect(await source.get()).toBe("token-1");
      requests.push(endpoint.api.requests.length);
    }
    expect(requests).toEqual([1, 2, 2, 3, 3]);
    endpoint.clock.now = 3_542_000;
    expect(await source.get()).toBe("token-4");
  });

  test("with a blank expires_in is assumed to last 300 s", async () => {
    await using endpoint = await start([200, '{"access_token":"token-1","expires_in":"  "}']);
    const source = endpoint.source();
    await source.get();
    endpoint.clock.now = 239_999;
    expect(await source.get()).toBe("token-1");
  });

  test("that is refused without a body or a known status text is reported by the status alone", async () => {
    await using endpoint = await start([599, ""], [599, ""]);
    expect((await rejection(endpoint.source(describeTokenRetrieval).get())).message).toBe(
      "Token retrieval failed: 599",
    );
    expect((await rejection(endpoint.source().get())).message).toBe("OAuth token fetch failed with 599: ");
  });
});

describe("the requests that a run has sent", () => {
  test.each([
    [399, true],
    [400, false],
    [499, false],
    [500, true],
  ])("may have changed something unless they were refused with 4xx: %d", (status, changed) => {
    const sent = new SentRequests();
    sent.leaves();
    expect([sent.mayHaveChanged, sent.mayBeUnderWay]).toEqual([true, true]);
    sent.answered(status);
    expect([sent.mayHaveChanged, sent.mayBeUnderWay]).toEqual([changed, false]);
  });

  test("are counted one by one", () => {
    const sent = new SentRequests();
    sent.leaves();
    sent.leaves();
    sent.answered(404);
    expect([sent.mayHaveChanged, sent.mayBeUnderWay]).toEqual([true, true]);
  });
});

test("a known secret is redacted from four characters on", () => {
  expect(redact("abc abcd", ["abc"])).toBe("abc abcd");
  expect(redact("abc abcd", ["abcd"])).toBe("abc [redacted]");
});

test.each([
  ["that the operator set for the origin", true, 1],
  ["for every other origin", false, 2],
])("the limit of requests in flight is the one %s", async (_what, isOwn, most) => {
  const waiting: (() => void)[] = [];
  await using api = await startDownstream((response) => waiting.push(() => response.end("{}")));
  await using outbound = startOutbound({
    inFlightPerOrigin: 2,
    inFlight: { [isOwn ? api.origin : "https://other.example.com"]: 1 },
  });
  const http = outbound.httpFor(scope({ origins: [api.origin] }));
  const answers = [0, 1, 2].map(() => http(api.origin));
  await expect.poll(() => waiting.length).toBe(most);
  // Requests that are not in flight yet arrive only after an answer.
  for (let answered = 0; answered < 3; answered += 1) {
    await expect.poll(() => waiting.length).toBe(Math.min(3, answered + most));
    waiting[answered]!();
    await Promise.race(answers);
  }
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200]);
});
