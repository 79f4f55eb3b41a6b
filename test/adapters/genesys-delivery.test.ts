import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { JobSchema } from "../../gen/jackfield/v1/jobs_pb.ts";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { createGenesysDelivery, type GenesysDeliveryOptions } from "../../src/adapters/genesys/deliver.ts";
import { TokenError } from "../../src/outbound/token-failure.ts";
import { deadPort, startDownstream, startOutbound } from "../outbound/downstream.ts";
import { testRequirement } from "../support/test-requirement.ts";

const results: MessageInitShape<typeof JobSchema>["results"] = [
  {
    callId: "a",
    name: "t",
    outcome: Outcome.OK,
    output: '{"n":1}',
    value: { kind: { case: "structValue", value: { fields: {} } } },
  },
  {
    callId: "b",
    name: "t",
    outcome: Outcome.OK,
    output: "[1,2]",
    value: { kind: { case: "listValue", value: { values: [] } } },
  },
  {
    callId: "c",
    name: "t",
    outcome: Outcome.OK,
    output: "{text}",
    value: { kind: { case: "stringValue", value: "{text}" } },
  },
  { callId: "d", name: "t", outcome: Outcome.FAILED, output: "broken", error: { message: "broken" } },
  {
    callId: "e",
    name: "t",
    outcome: Outcome.INVALID_ARGUMENTS,
    output: "x",
    error: {
      message: "x",
      violations: [
        { path: "/a", message: "must be string" },
        { path: "/b", message: "must be number" },
      ],
    },
  },
];
const job = create(JobSchema, { id: "job-1", context: { runId: "run/1?x" }, results });

type Answer = (response: ServerResponse, nth: number) => void;
const status =
  (code: number, body = "", headers: Record<string, string> = {}): Answer =>
  (response) =>
    response.writeHead(code, headers).end(body);

/** Starts a platform that returns these answers in turn, and a delivery to it. */
async function platform(answers: Answer[], options: Partial<GenesysDeliveryOptions> = {}) {
  const server = await startDownstream((response, _request, nth) =>
    answers[Math.min(nth, answers.length) - 1]!(response, nth),
  );
  const outbound = startOutbound();
  const refreshed: string[] = [];
  const deliver = createGenesysDelivery({
    apiBaseUrl: `${server.origin}/`,
    token: { get: async () => "first", refresh: async (stale) => `second${refreshed.push(stale)}` },
    send: outbound.send,
    version: "1.2.3",
    ...options,
  });
  return {
    requests: server.requests,
    refreshed,
    deliver: (over: Partial<typeof job> = {}) => deliver({ job: { ...job, ...over } }, AbortSignal.timeout(10_000)),
    async [Symbol.asyncDispose]() {
      await outbound.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

describe("a delivery to Genesys", () => {
  testRequirement("001.8", "sends all outputs in one request, as JSON text of objects", async () => {
    await using genesys = await platform([status(204)]);
    expect(await genesys.deliver()).toEqual({ kind: "delivered" });
    const [request] = genesys.requests;
    expect([request?.method, request?.url]).toEqual(["POST", "/api/v2/ai/assistants/runs/run%2F1%3Fx/tool_calls"]);
    expect(request?.headers).toMatchObject({
      authorization: "Bearer first",
      "content-type": "application/json",
      accept: "application/json",
      "user-agent": "Jackfield/1.2.3",
      "idempotency-key": "job-1",
    });
    expect(JSON.parse(request!.body)).toEqual({
      tool_calls: [
        { tool_call_id: "a", output: '{"n":1}' },
        { tool_call_id: "b", output: '{"result":[1,2]}' },
        { tool_call_id: "c", output: '{"result":"{text}"}' },
        { tool_call_id: "d", output: '{"error":"broken"}' },
        {
          tool_call_id: "e",
          output: '{"error":"Schema validation failed for t: /a: must be string, /b: must be number"}',
        },
      ],
    });
  });

  testRequirement(["001.8", "001.11"], "sends the same bytes and key in a repeat", async () => {
    await using genesys = await platform([status(500), status(200)]);
    expect((await genesys.deliver()).kind).toBe("retry");
    expect(await genesys.deliver()).toEqual({ kind: "delivered" });
    const [first, second] = genesys.requests;
    expect(second?.body).toBe(first?.body);
    expect(second?.headers["idempotency-key"]).toBe(first?.headers["idempotency-key"]);
  });

  testRequirement("001.9", "interprets each answer of the platform in one way", async () => {
    const cases: [number, string][] = [
      [200, "delivered"],
      [201, "delivered"],
      [409, "delivered"],
      [301, "dead"],
      [302, "dead"],
      [400, "dead"],
      [404, "dead"],
      [408, "retry"],
      [422, "dead"],
      [429, "retry"],
      [500, "retry"],
      [503, "retry"],
    ];
    for (const [code, kind] of cases) {
      await using genesys = await platform([status(code, "why", { location: "/elsewhere" })]);
      const ended = await genesys.deliver();
      expect([code, ended.kind]).toEqual([code, kind]);
      if (ended.kind !== "delivered") expect(ended.error).toBe(`API submission failed with status ${code}: why`);
      expect(genesys.requests).toHaveLength(1);
    }
  });

  testRequirement("001.9", "renews the token once after a 401, then fails; fails at once after a 403", async () => {
    await using mended = await platform([status(401), status(200)]);
    expect(await mended.deliver()).toEqual({ kind: "delivered" });
    expect(mended.refreshed).toEqual(["first"]);
    expect(mended.requests.map((request) => request.headers.authorization)).toEqual(["Bearer first", "Bearer second1"]);

    await using refused = await platform([status(401, "no")]);
    expect(await refused.deliver()).toEqual({ kind: "dead", error: "Authentication/Authorization failed: 401. no" });
    expect(refused.requests).toHaveLength(2);

    await using forbidden = await platform([status(403, "y".repeat(500))]);
    expect(await forbidden.deliver()).toEqual({
      kind: "dead",
      error: `Authentication/Authorization failed: 403. ${"y".repeat(200)}`,
    });
    expect(forbidden.requests).toHaveLength(1);
  });

  testRequirement(["001.9", "fault-001.headers"], "passes on Retry-After in both its forms", async () => {
    const wall = () => Date.parse("2026-11-21T10:00:00Z");
    const forms: [string, number | undefined][] = [
      ["3", 3000],
      ["Sat, 21 Nov 2026 10:00:07 GMT", 7000],
      ["soon", undefined],
    ];
    for (const [value, afterMs] of forms) {
      await using genesys = await platform([status(429, "", { "retry-after": value })], { wall });
      expect(await genesys.deliver()).toEqual({
        kind: "retry",
        error: "API submission failed with status 429: ",
        ...(afterMs === undefined ? {} : { afterMs }),
      });
    }
  });

  testRequirement("001.9", "slows down before a rate limit is used up", async () => {
    let time = 1_000_000;
    await using genesys = await platform(
      [
        status(200, "", { "x-ratelimit-remaining": "2", "x-ratelimit-reset": "5" }),
        status(200, "", { "x-ratelimit-remaining": "0" }),
        status(200),
      ],
      { monotonic: () => time },
    );
    expect((await genesys.deliver()).kind).toBe("delivered");
    expect((await genesys.deliver()).kind).toBe("delivered");
    expect(await genesys.deliver()).toEqual({
      kind: "retry",
      error: "Waiting for Genesys' rate limit to be renewed",
      afterMs: 1000,
    });
    expect(genesys.requests).toHaveLength(2);
    time += 1000;
    expect((await genesys.deliver()).kind).toBe("delivered");
    expect(genesys.requests).toHaveLength(3);
  });

  test("retries if the platform is unreachable or slow, or issues no token", async () => {
    await using slow = await platform([() => {}], { timeoutMs: 30 });
    expect((await slow.deliver()).kind).toBe("retry");
    await using gone = await platform([status(200)], { apiBaseUrl: `http://127.0.0.1:${await deadPort()}` });
    expect((await gone.deliver()).kind).toBe("retry");
    const failure = { status: 401, body: "", retryAfter: undefined };
    const get = () =>
      Promise.reject(
        new TokenError("OAuth authentication failed. Verify client_id and client_secret.", failure, undefined),
      );
    await using locked = await platform([status(200)], { token: { get, refresh: get } });
    expect(await locked.deliver()).toEqual({
      kind: "retry",
      error: "OAuth authentication failed. Verify client_id and client_secret.",
    });
    expect(locked.requests).toEqual([]);
  });
});
