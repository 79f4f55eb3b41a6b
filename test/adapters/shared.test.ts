import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { CallState, GetCallResponseSchema } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { Outcome, ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import type { AdapterClients } from "../../src/adapters/adapter.ts";
import { answerBudgetMs, answerDuration, durationOf } from "../../src/adapters/answer-budget.ts";
import { createChallenges } from "../../src/auth/challenge.ts";
import { createRatePace } from "../../src/adapters/genesys/rate-pace.ts";
import { resultsInOrder } from "../../src/adapters/missing-results.ts";
import { failureFromError } from "../../src/adapters/replies.ts";
import { PayloadError } from "../../src/adapters/route.ts";
import { callContext, isId, isKeyed, keyedContext, toolCall } from "../../src/adapters/tool-call.ts";
import { cutText, violationList, violationsOf } from "../../src/adapters/violations.ts";
import { outcomeOf } from "../support/executor.ts";

describe("converting an error for a platform", () => {
  const failure = (error: unknown) => failureFromError(error, "the payload");
  const thrown = (statusCode: unknown, message = "why") => Object.assign(new Error(message), { statusCode });

  test.each<[string, unknown, object]>([
    ["a payload that cannot be read", new PayloadError("no calls"), { status: 400, message: "no calls" }],
    ["an argument", new ConnectError("no", Code.InvalidArgument), { status: 400, message: "no" }],
    ["a permission", new ConnectError("no", Code.PermissionDenied), { status: 403, message: "no" }],
    [
      "something full",
      new ConnectError("full", Code.ResourceExhausted),
      { status: 503, message: "full", retryAfter: 1 },
    ],
    [
      "the caller's rate",
      new ConnectError("slow", Code.ResourceExhausted, { "retry-after": "7" }),
      { status: 429, message: "slow", retryAfter: 7 },
    ],
    ["the store", new ConnectError("away", Code.Unavailable), { status: 503, message: "away", retryAfter: 1 }],
    ["a deadline", new ConnectError("late", Code.DeadlineExceeded), { status: 503, message: "late", retryAfter: 1 }],
    ["our own fault by RPC", new ConnectError("secret", Code.Internal), { status: 500, message: "" }],
    ["a length", thrown(413), { status: 413, message: "The request body is too large" }],
    ["a type", thrown(415), { status: 415, message: "Content-Type must be application/json" }],
    [
      "a body that is no JSON",
      Object.assign(new SyntaxError("near secret"), { statusCode: 400 }),
      { status: 400, message: "The request body is not valid JSON" },
    ],
    ["what is no error", { statusCode: 400 }, { status: 400, message: "The request body is not valid JSON" }],
    ["a signature", thrown(401, "sign"), { status: 401, message: "sign", credentials: true }],
    ["any other 4xx", thrown(499), { status: 499, message: "why" }],
    ["a status below", thrown(399), { status: 500, message: "" }],
    ["a status above", thrown(500), { status: 500, message: "" }],
    ["a status that is no number", thrown("400"), { status: 500, message: "" }],
    ["a fault", new Error("secret"), { status: 500, message: "" }],
    ["nothing", null, { status: 500, message: "" }],
    ["a text", "secret", { status: 500, message: "" }],
  ])("%s", (_what, error, expected) => {
    expect(failure(error)).toEqual({ ...expected, payload: "the payload" });
  });
});

describe("the results of an interrupted batch", () => {
  const calls = ["1", "2", "2"].map((id, index) => toolCall(id, index === 2 ? "other" : "work", {}));
  const result = (callId: string, name: string, output: string) =>
    create(ToolResultSchema, { callId, name, outcome: Outcome.OK, output });

  function lookingUp(found: object | ConnectError) {
    const asked: unknown[] = [];
    const executor = {
      async getCall(request: object, options: object) {
        asked.push([request, options]);
        if (found instanceof ConnectError) throw found;
        return create(GetCallResponseSchema, found);
      },
    };
    return { asked, clients: { executor } as unknown as Pick<AdapterClients, "executor"> };
  }

  const context = callContext({ conversationId: "c" });
  const outcomes = async (found: object | ConnectError, interruption: unknown = new Error("cut")) => {
    const { clients } = lookingUp(found);
    const results = await resultsInOrder({ calls, context }, [], interruption, clients);
    return results.map(({ outcome, output }) => [outcomeOf({ outcome }), output]);
  };

  test("are in the order of the calls, once each; missing ones are looked up for a second", async () => {
    const { asked, clients } = lookingUp({ state: CallState.DONE, result: result("1", "work", "found") });
    const ended = [result("2", "other", "b"), result("2", "work", "a")];
    const results = await resultsInOrder({ calls, context }, ended, new Error("cut"), clients);
    expect(results.map(({ output }) => output)).toEqual(["found", "a", "b"]);
    expect(asked).toEqual([[{ callId: "1", context }, { timeoutMs: 1000 }]]);
  });

  test("are pending for running calls, uncertain for unknown ones, failed for calls that never ran", async () => {
    expect((await outcomes({ state: CallState.RUNNING }))[0]).toEqual([
      "PENDING",
      "The request is still being processed. Do not repeat it.",
    ]);
    expect((await outcomes({ state: CallState.UNCERTAIN }))[0]?.[0]).toBe("UNCERTAIN");
    expect((await outcomes(new ConnectError("?", Code.NotFound)))[0]?.[0]).toBe("FAILED");
    expect((await outcomes(new ConnectError("?", Code.Internal)))[0]?.[0]).toBe("UNCERTAIN");
    const away = new ConnectError("away", Code.Unavailable);
    expect((await outcomes(new ConnectError("?", Code.Internal), away))[0]?.[0]).toBe("FAILED");
    expect((await outcomes({ state: CallState.UNCERTAIN }, away))[0]?.[0]).toBe("UNCERTAIN");
  });

  test("name the call that they answer", async () => {
    const { clients } = lookingUp(new ConnectError("?", Code.NotFound));
    const [, , third] = await resultsInOrder({ calls, context }, [], undefined, clients);
    expect(third).toMatchObject({ callId: "2", name: "other", attempts: 0, replayed: false, truncated: false });
    expect(third?.error).toMatchObject({ message: third?.output, violations: [] });
  });
});

describe("the pace of a platform's rate limit", () => {
  function start(headers: Record<string, string> = {}) {
    const clock = { now: 1_000, offset: 1_700_000_000_000 - 1_000 };
    const pace = createRatePace({ wall: () => clock.now + clock.offset, monotonic: () => clock.now });
    pace.update(headers);
    return { clock, pace };
  }

  test("does not wait while the limit is unknown, or more than one request is left", () => {
    const { pace } = start();
    pace.sent();
    expect([pace.remaining, pace.waitMs()]).toEqual([undefined, 0]);
    pace.update({ "x-ratelimit-remaining": "2" });
    expect([pace.remaining, pace.waitMs()]).toEqual([2, 0]);
    pace.sent();
    expect([pace.remaining, pace.waitMs()]).toEqual([1, 1000]);
    for (const odd of ["", "-1", "1.5", "many", "1".repeat(16)]) pace.update({ "x-ratelimit-remaining": odd });
    expect(pace.remaining).toBe(1);
  });

  test.each([
    [undefined, 1000],
    ["soon", 1000],
    ["0", 1000],
    ["30", 30_000],
    [" 30 ", 30_000],
    ["60", 60_000],
    ["61", 60_000],
    ["1000000000", 60_000],
    ["1700000020", 20_000],
    ["1600000000", 1000],
    ["1800000000", 60_000],
  ])("waits, if one is left until %j, for %d ms, and then continues", (reset, ms) => {
    const { clock, pace } = start({
      "x-ratelimit-remaining": " 1 ",
      ...(reset !== undefined && { "x-ratelimit-reset": reset }),
    });
    expect(pace.waitMs()).toBe(ms);
    clock.now += ms - 1;
    expect(pace.waitMs()).toBe(1);
    clock.now += 1;
    expect([pace.waitMs(), pace.remaining]).toEqual([0, undefined]);
  });

  test("does not wait longer if the wall clock is put back", () => {
    const { clock, pace } = start({ "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000002" });
    clock.offset -= 3_600_000;
    expect(pace.waitMs()).toBe(2_000);
    clock.now += 2_000;
    expect(pace.waitMs()).toBe(0);
  });
});

describe("violations", () => {
  const violations = [
    { path: "/a", message: "must be number" },
    { path: "", message: "must be object" },
  ];

  test("are those of the arguments, in the platform's own list", () => {
    const refused = (outcome: Outcome) =>
      create(ToolResultSchema, { outcome, error: { message: "no", violations: [...violations] } });
    expect(violationsOf(refused(Outcome.INVALID_OUTPUT))).toEqual([]);
    expect(violationsOf(create(ToolResultSchema, { outcome: Outcome.INVALID_ARGUMENTS }))).toEqual([]);
    expect(violationList(violationsOf(refused(Outcome.INVALID_ARGUMENTS)), "; ")).toBe(
      "/a: must be number; : must be object",
    );
  });

  test.each([
    ["abc", 3, "abc"],
    ["abcdef", 5, "ab…"],
    ["üüü", 6, "üüü"],
    ["üüüü", 7, "üü…"],
    ["üüüü", 6, "ü…"],
    ["😀😀😀", 10, "😀…"],
    ["abc", 2, "…"],
    ["üb", 2, "…"],
  ])("%s in at most %d bytes is %s", (text, max, cut) => {
    expect(cutText(text, max)).toBe(cut);
  });
});

describe("ids and contexts", () => {
  test("an id has 1 to 256 complete code points", () => {
    expect(["", "a", "a".repeat(256), "😀".repeat(256)].map(isId)).toEqual([false, true, true, true]);
    for (const no of ["a".repeat(257), "😀".repeat(257), `${"😀".repeat(256)}a`, "\ud800", 7, null]) {
      expect(isId(no)).toBe(false);
    }
  });

  test("a call with an idempotency key is distinguished from all others", () => {
    expect(isKeyed(keyedContext("c"))).toBe(true);
    expect(keyedContext("c")).toMatchObject({ conversationId: "c", sessionId: "", source: "" });
    expect([isKeyed(callContext({ runId: "r" })), isKeyed(undefined)]).toEqual([false, false]);
  });

  test.each([
    [undefined, { case: "argumentsJson", value: "" }],
    [null, { case: "argumentsJson", value: "" }],
    ["{", { case: "argumentsJson", value: "{" }],
    [{ a: 1 }, { case: "arguments", value: { a: 1 } }],
    [[1, [2]], { case: "argumentsJson", value: "[]" }],
    [7, { case: "argumentsJson", value: "7" }],
  ])("arguments %j become the input %j", (input, expected) => {
    expect(toolCall("1", "work", input)).toEqual({
      $typeName: "jackfield.v1.ToolCall",
      id: "1",
      name: "work",
      input: expected,
    });
  });
});

test("the network gets a tenth of a second of a platform's limit, or half of a short one", () => {
  expect([5000, 200, 150, 100].map(answerBudgetMs)).toEqual([4900, 100, 75, 50]);
  expect(answerDuration(5000)).toMatchObject({ seconds: 4n, nanos: 900_000_000 });
  expect(durationOf(1999.6)).toMatchObject({ seconds: 2n, nanos: 0 });
});

test("a challenge contains only Bearer unless there is an authorization server", () => {
  const bare = createChallenges(undefined);
  expect([bare.missing, bare.invalid, bare.insufficient("tools:read")]).toEqual(["Bearer", "Bearer", "Bearer"]);
  const full = createChallenges("https://x/meta");
  expect(full).toMatchObject({
    missing: 'Bearer resource_metadata="https://x/meta", scope="tools:read tools:execute"',
    invalid: 'Bearer error="invalid_token", resource_metadata="https://x/meta", scope="tools:read tools:execute"',
  });
  expect(full.insufficient("tools:read")).toBe(
    'Bearer error="insufficient_scope", scope="tools:read", resource_metadata="https://x/meta"',
  );
});
