import { create } from "@bufbuild/protobuf";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import { describe, expect, test } from "vitest";
import { JobSchema } from "../../gen/jackfield/v1/jobs_pb.ts";
import { Outcome, ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { createGenesysDelivery, type GenesysDeliveryOptions } from "../../src/adapters/genesys/deliver.ts";
import { readGateway, readRun } from "../../src/adapters/genesys/payloads.ts";
import { objectText, outputText, progressEvent } from "../../src/adapters/genesys/translate.ts";
import { TokenError } from "../../src/outbound/token-failure.ts";

describe("a request that delivers results", () => {
  const job = create(JobSchema, { id: "job-1", context: { runId: "run-1" } });

  /** A delivery whose requests get the answers of the test, in turn. */
  function start(
    answers: readonly (Error | { status: number; headers?: Record<string, string> })[],
    options: Partial<GenesysDeliveryOptions> = {},
  ) {
    const sent: unknown[][] = [];
    const measured: unknown[][] = [];
    const deliver = createGenesysDelivery({
      apiBaseUrl: "https://api.example.com//",
      token: { get: async () => "first", refresh: async () => "second" },
      send: (async (...request: unknown[]) => {
        const answer = answers[Math.min(sent.push(request), answers.length) - 1]!;
        if (answer instanceof Error) throw answer;
        return { headers: {}, excerpt: () => "why", ...answer };
      }) as unknown as GenesysDeliveryOptions["send"],
      version: "1",
      measure: (...values) => void measured.push(values),
      wall: () => 5000,
      ...options,
    });
    const signal = AbortSignal.any([]);
    return {
      sent,
      measured,
      deliver: (over: object = {}) => deliver({ job: { ...job, ...over } }, signal, ROOT_CONTEXT),
    };
  }

  test("is addressed to the run, in the trace of its job, with both ids as span attributes", async () => {
    const { sent, deliver } = start([{ status: 200 }]);
    await deliver();
    const [url, , options] = sent[0] as [string, object, { attributes(): object }];
    expect(url).toBe("https://api.example.com/api/v2/ai/assistants/runs/run-1/tool_calls");
    expect(options).toMatchObject({
      configuredOrigins: new Set(["https://api.example.com"]),
      trace: ROOT_CONTEXT,
      signal: expect.any(AbortSignal) as object,
    });
    expect(options.attributes()).toEqual({ "jackfield.job.id": "job-1", "jackfield.run.id": "run-1" });
  });

  test("is not sent for a run id that is a path segment of dots", async () => {
    const { sent, deliver } = start([{ status: 200 }]);
    for (const runId of [".", ".."]) {
      expect(await deliver({ context: { runId } })).toEqual({
        kind: "dead",
        error: "The run id cannot be part of a path.",
      });
    }
    expect(sent).toEqual([]);
    await deliver({ context: undefined });
    const [url, , options] = sent[0] as [string, object, { attributes(): object }];
    expect(url).toContain("/runs//tool_calls");
    expect(options.attributes()).toEqual({ "jackfield.job.id": "job-1", "jackfield.run.id": "" });
  });

  test.each([
    [199, "dead"],
    [200, "delivered"],
    [299, "delivered"],
    [300, "dead"],
    [407, "dead"],
    [410, "dead"],
    [499, "dead"],
    [500, "retry"],
    [599, "retry"],
  ])("with the answer %d is %s", async (status, kind) => {
    expect((await start([{ status }]).deliver()).kind).toBe(kind);
  });

  test("updates the gauge of remaining requests once the platform reports them", async () => {
    const { measured, deliver } = start([{ status: 200 }, { status: 200, headers: { "x-ratelimit-remaining": "7" } }]);
    await deliver();
    expect(measured).toEqual([]);
    await deliver();
    expect(measured).toEqual([["jackfield.genesys.rate_limit.remaining", {}, 7]]);
    const silent = start([{ status: 200, headers: { "x-ratelimit-remaining": "7" } }], { measure: undefined });
    expect((await silent.deliver()).kind).toBe("delivered");
  });

  test("is retried after a failure, and after the time that the token endpoint asks for", async () => {
    expect(await start([new Error("reset")]).deliver()).toEqual({
      kind: "retry",
      error: "API submission failed: reset",
    });
    const failure = { status: 429, body: "", retryAfter: "7" };
    const get = () => Promise.reject(new TokenError("no token", failure, undefined));
    expect(await start([], { token: { get, refresh: get } }).deliver()).toEqual({
      kind: "retry",
      error: "no token",
      afterMs: 7000,
    });
  });

  test("uses the Retry-After of the second answer after a rejected token", async () => {
    const { sent, deliver } = start([{ status: 401 }, { status: 503, headers: { "retry-after": "3" } }]);
    expect(await deliver()).toEqual({
      kind: "retry",
      error: "API submission failed with status 503: why",
      afterMs: 3000,
    });
    const tokens = sent.map(([, request]) => (request as { headers: { authorization: string } }).headers.authorization);
    expect(tokens).toEqual(["Bearer first", "Bearer second"]);
  });
});

describe("a payload of Genesys", () => {
  const calls = [{ id: "a", function: { name: "t", arguments: {} } }];

  test("may omit conversation and session", () => {
    for (const none of [undefined, null, ""]) {
      const payload = { tool_calls: calls, conversation_id: none, session_id: none };
      expect(readGateway(payload, 1)).toMatchObject({ conversationId: "", sessionId: "" });
    }
    expect(() => readGateway({ tool_calls: calls, session_id: "x".repeat(257) }, 1)).toThrow(
      "Invalid session_id: expected a string of at most 256 characters",
    );
    expect(() => readGateway({ tool_calls: calls, conversation_id: 0 }, 1)).toThrow("Invalid conversation_id");
  });

  test("holds at most the configured number of calls", () => {
    expect(readRun({ run_id: "r", tool_calls: [...calls, ...calls] }, 2).calls).toHaveLength(2);
    expect(() => readRun({ run_id: "r", tool_calls: [...calls, ...calls] }, 1)).toThrow(
      "Too many tool calls: a request may hold at most 1, this one holds 2",
    );
  });

  test("cannot be for a run id that is a path segment of dots", () => {
    for (const run_id of [".", ".."]) {
      expect(() => readRun({ run_id, tool_calls: calls }, 1)).toThrow(
        "Invalid payload structure. Expected run_id and tool_calls array.",
      );
    }
    expect(readRun({ run_id: "...", tool_calls: calls }, 1).runId).toBe("...");
  });
});

describe("what Genesys reads of a result", () => {
  const result = (output: string, value?: object, outcome: Outcome = Outcome.OK) =>
    create(ToolResultSchema, { outcome, output, ...(value && { value: { kind: value as never } }) });
  const text = (value: string) => ({ case: "stringValue", value });

  test.each<[string, string, object | undefined, string]>([
    ["a text", "plain", text("plain"), '"plain"'],
    ["a text that looks like JSON", "{}", text("{}"), '"{}"'],
    ["a date, whose output is JSON already", '"2026-01-01"', text("2026-01-01"), '"2026-01-01"'],
    ["an object", '{"a":1}', { case: "structValue", value: { fields: {} } }, '{"a":1}'],
    ["an object without its value", '{"a":1}', undefined, '{"a":1}'],
    ["a text without its value", "{a", undefined, '"{a"'],
  ])("is the JSON of %s: %s", (_what, output, value, json) => {
    expect(outputText(result(output, value), 100)).toBe(json);
  });

  test("is always an object in a delivery", () => {
    expect(objectText(result('{"a":1}'), 100)).toBe('{"a":1}');
    expect(objectText(result(' \n{"a":1}'), 100)).toBe(' \n{"a":1}');
    expect(objectText(result("[1]"), 100)).toBe('{"result":[1]}');
  });

  test("is the error message, or the output without one, with violations cut to the limit", () => {
    expect(outputText(result("odd", undefined, Outcome.FAILED), 100)).toBe('{"error":"odd"}');
    const violations = [{ path: "/abcdef", message: "must be string" }];
    const refused = create(ToolResultSchema, {
      name: "t",
      outcome: Outcome.INVALID_ARGUMENTS,
      error: { message: "m", violations },
    });
    expect(outputText(refused, 20)).toBe('{"error":"Schema validation…"}');
  });

  test("is told of progress and of ended calls", () => {
    const event = (step: Parameters<typeof progressEvent>[0]["event"]) => {
      const { event: name, data } = progressEvent({ ended: 1, total: 2, event: step });
      return [name, JSON.parse(data)];
    };
    const ended = create(ToolResultSchema, { callId: "a", name: "t" });
    expect(event({ case: "result", value: ended })).toEqual([
      "tool_progress",
      { step: 1, total: 2, status: "completed", id: "a", name: "t" },
    ]);
    const progress = { $typeName: "jackfield.v1.Progress", callId: "b", message: "half", fraction: 0.5 } as const;
    expect(event({ case: "progress", value: progress })).toEqual([
      "tool_progress",
      { step: 1, total: 2, status: "running", id: "b", message: "half", fraction: 0.5 },
    ]);
  });
});
