import { afterAll, beforeAll, expect, test } from "vitest";
import { rpc, until } from "../support/http-client.ts";
import type { Receiver } from "../support/receiver.ts";
import type { ServiceUnderTest } from "../support/service.ts";
import { type ContractServices, startContractServices } from "./support/contract-services.ts";

let closed: ServiceUnderTest;
let seats: Receiver;

let services: ContractServices;
beforeAll(async () => {
  services = await startContractServices();
  ({ closed, seats } = services);
}, 60_000);
afterAll(() => services[Symbol.asyncDispose]());

test("each method requires its scope, and reports a missing one as an RPC error", async () => {
  const call = { call: { name: "echo" } };
  const job = { job: { calls: [{ id: "j", name: "echo" }] } };
  const methods: [string, unknown, string[]][] = [
    ["ToolExecutor/ExecuteTool", call, ["exec", "plain", "boss", "narrow", "two"]],
    ["ToolExecutor/GetCall", { callId: "none" }, ["exec", "plain", "boss", "narrow", "two"]],
    ["ToolExecutor/WaitCall", { callId: "none" }, ["exec", "plain", "boss", "narrow", "two"]],
    ["ToolExecutor/ListTools", {}, ["read", "plain", "boss", "narrow"]],
    ["ToolRegistry/RegisterTool", {}, ["register", "boss"]],
    ["ToolRegistry/UnregisterTool", { name: "none" }, ["register", "boss"]],
    ["Jobs/SubmitJob", job, ["boss"]],
    ["Jobs/GetJob", { id: "none" }, ["jobs-read", "plain", "boss", "narrow"]],
    ["Jobs/ListJobs", {}, ["jobs-read", "plain", "boss", "narrow"]],
    ["Jobs/RetryJob", { id: "none" }, ["jobs-write", "boss"]],
    ["Jobs/CancelJob", { id: "none" }, ["jobs-write", "boss"]],
  ];
  const everybody = [
    "exec",
    "read",
    "register",
    "jobs-read",
    "jobs-write",
    "metrics",
    "narrow",
    "plain",
    "boss",
    "two",
  ];
  for (const [method, message, allowed] of methods) {
    const without = await rpc(closed.url, method, message);
    expect([method, without.status, without.body["code"]]).toEqual([method, 401, "unauthenticated"]);
    const wrong = await rpc(closed.url, method, message, "exec-ke");
    expect([method, wrong.status, wrong.body["code"]]).toEqual([method, 401, "unauthenticated"]);
    for (const name of everybody) {
      const { status, body } = await rpc(closed.url, method, message, `${name}-key`);
      const refused = body["code"] === "permission_denied";
      expect([method, name, refused, refused ? status : 403]).toEqual([method, name, !allowed.includes(name), 403]);
    }
  }
});

test("an allow-list hides tools, and a call of another one is DENIED", async () => {
  const listed = await rpc(closed.url, "ToolExecutor/ListTools", {}, "narrow-key");
  expect((listed.body["tools"] as unknown as { name: string }[]).map(({ name }) => name)).toEqual([
    "echo",
    "get_weather",
  ]);
  const denied = await rpc(
    closed.url,
    "ToolExecutor/ExecuteTool",
    { call: { id: "d", name: "nap", arguments: { ms: 0 } } },
    "narrow-key",
  );
  expect([denied.status, denied.body["result"]?.["outcome"]]).toEqual([200, "OUTCOME_DENIED"]);
  const offered = (await (
    await fetch(`${closed.url}/tools`, { headers: { authorization: "Bearer narrow-key" } })
  ).json()) as { tools: { function: { name: string } }[] };
  expect(offered.tools.map((tool) => tool.function.name)).toEqual(["echo", "get_weather"]);
});

test("tenants never see each other's calls and jobs; two keys of one caller do", async () => {
  const context = { conversationId: "shared" };
  const ask = (key: string) =>
    rpc(
      closed.url,
      "ToolExecutor/ExecuteTool",
      { call: { id: "same", name: "book", arguments: { seat: "T1" } }, context },
      key,
    );
  const before = seats.received.length;
  const [first, second] = [await ask("a-key"), await ask("b-key")];
  expect([first.body["result"]?.["replayed"], second.body["result"]?.["replayed"]]).toEqual([undefined, undefined]);
  expect(seats.received.length - before).toBe(2);
  const third = await ask("a-key-2");
  expect(third.body["result"]?.["replayed"]).toBe(true);
  expect(seats.received.length - before).toBe(2);
  const exec = await rpc(closed.url, "ToolExecutor/GetCall", { callId: "same", context }, "exec-key");
  expect([exec.status, exec.body["code"]]).toEqual([404, "not_found"]);
  const submitted = await rpc(
    closed.url,
    "Jobs/SubmitJob",
    { job: { id: "job-a", calls: [{ id: "j", name: "echo", arguments: {} }] } },
    "a-key",
  );
  expect(submitted.body["job"]).toMatchObject({ id: "job-a", state: "JOB_STATE_ACCEPTED" });
  for (const method of ["GetJob", "RetryJob", "CancelJob"]) {
    const foreign = await rpc(closed.url, `Jobs/${method}`, { id: "job-a" }, "b-key");
    expect([method, foreign.status, foreign.body["code"]]).toEqual([method, 404, "not_found"]);
  }
  expect((await rpc(closed.url, "Jobs/ListJobs", {}, "b-key")).body).toEqual({});
  const done = await until(async () => {
    const { body } = await rpc(closed.url, "Jobs/GetJob", { id: "job-a" }, "a-key");
    return body["job"]?.["state"] === "JOB_STATE_DONE" && body["job"];
  });
  expect(done).toMatchObject({
    results: [{ callId: "j", name: "echo", outcome: "OUTCOME_OK" }],
    createTime: expect.any(String) as string,
  });
  for (const method of ["RetryJob", "CancelJob"]) {
    const ended = await rpc(closed.url, `Jobs/${method}`, { id: "job-a" }, "a-key");
    expect([method, ended.status, ended.body["code"]]).toEqual([method, 400, "failed_precondition"]);
  }
  const listed = await rpc(closed.url, "Jobs/ListJobs", { state: "JOB_STATE_DONE", pageSize: 1 }, "a-key");
  expect(listed.body["jobs"]).toMatchObject([{ id: "job-a" }]);
  const again = await rpc(
    closed.url,
    "Jobs/SubmitJob",
    { job: { id: "job-a", calls: [{ id: "j", name: "echo", arguments: {} }] } },
    "a-key",
  );
  expect(again.body["job"]).toMatchObject({ id: "job-a", state: "JOB_STATE_DONE" });
});

test("the source of a call is the authenticated caller, and the message's own only with calls:delegate", async () => {
  const ask = async (key: string) => {
    const { body } = await rpc(
      closed.url,
      "ToolExecutor/ExecuteTool",
      { call: { name: "echo" }, context: { source: "genesys" } },
      key,
    );
    return (JSON.parse(body["result"]?.["output"] ?? "{}") as { source?: string }).source;
  };
  expect([await ask("exec-key"), await ask("two-key"), await ask("boss-key")]).toEqual(["exec", "genesys", "genesys"]);
});
