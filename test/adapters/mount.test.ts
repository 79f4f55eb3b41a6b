import { once } from "node:events";
import * as http2 from "node:http2";
import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { JobSchema } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { Measure } from "../../src/adapters/adapter.ts";
import type { AcceptRoute, PollRoute, RequestFailure, Route } from "../../src/adapters/route.ts";
import { callContext, toolCall } from "../../src/adapters/tool-call.ts";
import { answering, failure, failures, mounted } from "./bare-adapter.ts";
import { until } from "./start-adapter.ts";

// Behaviour that all adapters share, tested with a minimal adapter.

const broken = { work: () => Promise.reject(new Error("secret")) };

describe("a request that fails", () => {
  test("is measured and logged if the service is at fault, and not if the sender is", async () => {
    const measured: [number, Measure][] = [];
    const measureFailure = ({ status }: RequestFailure, measure: Measure) => void measured.push([status, measure]);
    await using app = await mounted(answering({ measureFailure }), { tools: broken });
    expect((await app.post("/answer", "null")).status).toBe(400);
    expect((await app.post("/answer", "{")).status).toBe(400);
    expect([measured, app.log.filter((line) => line.includes("request failed"))]).toEqual([[], []]);
    expect((await app.post("/answer", {})).status).toBe(500);
    expect(measured).toEqual([[500, expect.any(Function)]]);
    const lines = app.log.filter((line) => line.includes("request failed"));
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { adapter: "bare", route: "/answer", msg: "request failed", err: { message: expect.any(String) as string } },
    ]);
  });

  test("is answered on a route that measures no failures, too", async () => {
    await using app = await mounted(answering(), { tools: broken });
    const response = await app.post("/answer", { a: 1 });
    expect([response.status, await response.json()]).toEqual([500, { error: "" }]);
    expect(failures).toEqual([{ status: 500, message: "", payload: { a: 1 } }]);
  });

  test("closes the connection only if its body was not read to the end", async () => {
    await using app = await mounted(answering());
    const connection = async (body: string) => (await app.post("/answer", body)).headers.get("connection");
    expect(await connection("{")).not.toBe("close");
    expect(await connection(JSON.stringify("x".repeat(1_100_000)))).toBe("close");
    const session = http2.connect(app.url);
    session.on("error", () => undefined);
    const stream = session.request({ ":method": "POST", ":path": "/answer", "content-type": "application/json" });
    stream.on("error", () => undefined);
    stream.end(JSON.stringify("x".repeat(1_100_000)));
    const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
    expect([headers[":status"], headers.connection]).toEqual([413, undefined]);
    session.destroy();
  });
});

describe("a route", () => {
  test("may refuse a request by its head, before authentication and body", async () => {
    const refuse = { status: 418, message: "not here" };
    const admit: Route["admit"] = ({ headers }) => (headers["x-teapot"] === undefined ? undefined : refuse);
    const cors = { origins: ["https://a.example"], headers: [] };
    await using app = await mounted(answering({ admit, cors }));
    const refused = await app.post("/answer", "{", { "x-teapot": "1", origin: "https://a.example" });
    expect([refused.status, await refused.json()]).toEqual([418, { error: "not here" }]);
    expect(refused.headers.get("access-control-allow-origin")).toBe("https://a.example");
    expect((await app.post("/answer", "{}")).status).toBe(200);
  });

  test("answers preflights with permissions for its origins only", async () => {
    const cors = { origins: ["https://a.example", "https://b.example"], headers: ["X-One", "X-Two"] };
    await using app = await mounted(answering({ cors }));
    const ask = async (origin?: string) => {
      const headers: Record<string, string> = origin === undefined ? {} : { origin };
      const response = await fetch(`${app.url}/answer`, { method: "OPTIONS", headers });
      expect([response.status, await response.text()]).toEqual([204, ""]);
      const names = ["allow", "vary", "access-control-allow-origin", "access-control-allow-methods"];
      return [...names, "access-control-allow-headers"].map((name) => response.headers.get(name));
    };
    const allow = "POST, OPTIONS";
    expect(await ask("https://b.example")).toEqual([allow, "Origin", "https://b.example", "POST", "X-One, X-Two"]);
    expect(await ask("https://c.example")).toEqual([allow, "Origin", null, null, null]);
    expect(await ask()).toEqual([allow, null, null, null, null]);
  });

  test("answers no preflights if it has no origins", async () => {
    await using app = await mounted(answering());
    const response = await fetch(`${app.url}/answer`, { method: "OPTIONS", headers: { origin: "https://a.example" } });
    expect([response.status, response.headers.get("access-control-allow-origin")]).toEqual([405, null]);
  });
});

describe("a call that is answered in its own request", () => {
  test("may be pending any number of times without a limit", async () => {
    const release = Promise.withResolvers<object>();
    await using app = await mounted(answering({ answerWithinMs: 2 }), { tools: { work: () => release.promise } });
    const late: unknown[] = [];
    for (let n = 0; n < 3; n += 1) late.push(await (await app.post("/answer", {})).json());
    const answer = { id: "1", output: expect.stringContaining("retry") as string };
    expect(late).toEqual([answer, answer, answer]);
    expect(app.lookedUp).toEqual([]);
    release.resolve({});
  });

  test("has its late result measured if the route wants it", async () => {
    const release = Promise.withResolvers<object>();
    const measured: string[] = [];
    const route = answering({
      answerWithinMs: 2,
      pending: { limit: 1, message: "full" },
      measureAnswer: ({ output }) => void measured.push(output),
      measureLateResult: ({ output }) => void measured.push(output),
    });
    await using app = await mounted(route, { tools: { work: () => release.promise } });
    await app.post("/answer", {});
    release.resolve({ there: true });
    await until(() => measured.length === 2);
    expect(measured).toEqual([expect.stringContaining("retry"), '{"there":true}']);
    await using other = await mounted(
      { ...route, measureLateResult: undefined as never },
      { tools: { work: () => ({}) } },
    );
    expect((await other.post("/answer", {})).status).toBe(200);
  });

  test("is watched after its answer, until it ends or the service closes", async () => {
    const app = await mounted(answering({ answerWithinMs: 2, pending: { limit: 1, message: "full" } }), {
      tools: { work: () => new Promise(() => {}) },
    });
    await app.post("/answer", {});
    await until(() => app.lookedUp.length === 1);
    expect(app.lookedUp[0]?.signal.aborted).toBe(false);
    await app[Symbol.asyncDispose]();
    expect(app.lookedUp[0]?.signal.aborted).toBe(true);
  });

  test("is refused with a message, and measured, if too many are pending", async () => {
    const release = Promise.withResolvers<object>();
    const measured: RequestFailure[] = [];
    const route = answering({
      call: (payload) => toolCall(String(payload), "work", {}),
      pending: { limit: 1, message: "full" },
      measureFailure: (failed) => void measured.push(failed),
    });
    await using app = await mounted(route, { tools: { work: () => release.promise } });
    const waiting = app.post("/answer", "1");
    await until(() => app.seen.length === 1);
    const refused = await app.post("/answer", "2");
    expect([refused.status, refused.headers.get("retry-after"), await refused.json()]).toEqual([
      503,
      "1",
      { error: "full" },
    ]);
    expect(measured).toEqual([{ status: 503, message: "full", retryAfter: 1, payload: 2 }]);
    release.resolve({});
    expect((await waiting).status).toBe(200);
  });
});

describe("a poll", () => {
  const poll: PollRoute = {
    kind: "poll",
    method: "GET",
    path: "/poll/:id",
    callId: ({ id }) => (id === "none" ? undefined : id),
    answered: (callId, { output }) => ({ status: 200, body: JSON.stringify([callId, output]) }),
    running: (callId) => ({ status: 202, body: JSON.stringify([callId]), headers: { "x-running": "1" } }),
    unknown: (callId) => ({ status: 404, body: JSON.stringify([callId ?? null]) }),
    failure,
  };

  test("looks a call up only by a valid id", async () => {
    await using app = await mounted(poll);
    const get = async (id: string) => {
      const response = await fetch(`${app.url}/poll/${id}`);
      return [response.status, await response.json(), response.headers.get("x-running")];
    };
    expect(await get("none")).toEqual([404, [null], null]);
    expect(app.lookedUp).toEqual([]);
    expect(await get("1")).toEqual([404, ["1"], null]);
    app.results.set("1", undefined);
    expect(await get("1")).toEqual([202, ["1"], "1"]);
    expect(app.lookedUp.map(({ callId, traceId }) => [callId, traceId])).toEqual([
      ["1", undefined],
      ["1", undefined],
    ]);
  });
});

describe("a batch that is acknowledged", () => {
  const accept: AcceptRoute = {
    kind: "accept",
    method: "POST",
    path: "/accept",
    source: "bare",
    batch: () => ({ calls: [toolCall("1", "work", {})], context: callContext({ runId: "r" }) }),
    accepted: ({ id }) => ({ status: 202, body: JSON.stringify({ id }) }),
    failure,
  };

  test("is stored as a new job of its source", async () => {
    const jobs: unknown[] = [];
    await using app = await mounted(accept, { submit: (job) => (jobs.push(job), create(JobSchema, { id: "j" })) });
    expect(await (await app.post("/accept", {})).json()).toEqual({ id: "j" });
    expect(jobs).toEqual([
      expect.objectContaining({ id: "", source: "bare", state: 0, results: [], attempts: 0, error: "" }),
    ]);
  });

  test("is refused if it could not be stored, or not in time", async () => {
    await using nothing = await mounted(accept, { submit: () => undefined as never });
    expect((await nothing.post("/accept", {})).status).toBe(500);
    await using late = await mounted(accept, { submit: () => new Promise(() => {}), times: { storeWithinMs: 5 } });
    const response = await late.post("/accept", {});
    expect([response.status, await response.json()]).toEqual([503, { error: "the batch could not be stored in time" }]);
    await using closed = await mounted({ ...accept, unavailable: "closed" });
    expect((await closed.post("/accept", { a: 1 })).status).toBe(503);
    expect(failures).toEqual([{ status: 503, message: "closed", retryAfter: 1, payload: { a: 1 } }]);
  });
});
