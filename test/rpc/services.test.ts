import { create } from "@bufbuild/protobuf";
import { Code, createClient, createContextValues } from "@connectrpc/connect";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import { expect, test } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../gen/health/v1/health_pb.ts";
import { Conversations } from "../../gen/jackfield/v1/conversations_pb.ts";
import { Jobs, JobSchema, JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { CallState, ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { type RegisterToolRequest, ToolRegistry } from "../../gen/jackfield/v1/tool_registry_pb.ts";
import type { Caller } from "../../src/auth/caller.ts";
import { grantedScopes, type Scope } from "../../src/config/scope.ts";
import { LedgerUnavailableError } from "../../src/ledger/ledger.ts";
import type { JobQueue, JobRecord } from "../../src/jobs/job-queue.ts";
import { createInProcessTransport } from "../../src/rpc/in-process/transport.ts";
import type { AuditEvent, Telemetry } from "../../src/telemetry/telemetry.ts";
import { kTrace } from "../../src/telemetry/trace-key.ts";
import {
  createEchoExecutor,
  createNamedRegistry,
  createOpenFront,
  createParts,
  createServices,
  createWatchedTelemetry,
  local,
} from "./rpc-kit.ts";

function callerOf(...scopes: Scope[]): Caller {
  return { name: "crm", tenant: "t1", scopes: grantedScopes(scopes), tools: ["get_*"] };
}

/** A queue that keeps jobs in a map, to test only the service. */
function createMapQueue(): JobQueue {
  const jobs = new Map<string, JobRecord>();
  const inState = (id: string, state: JobState, next: JobState): JobRecord | false | undefined => {
    const record = jobs.get(id);
    if (record === undefined) return undefined;
    if (record.job.state !== state) return false;
    record.job.state = next;
    return record;
  };
  return {
    async enqueue(record) {
      const there = jobs.get(record.job.id);
      if (there === undefined) jobs.set(record.job.id, record);
      return { record: there ?? record, existed: there !== undefined };
    },
    get: async (id) => jobs.get(id),
    list: async ({ tenant }) => ({
      records: [...jobs.values()].filter((record) => record.tenant === tenant),
      next: "",
    }),
    retry: async (id) => inState(id, JobState.DEAD, JobState.ACCEPTED),
    cancel: async (id) => inState(id, JobState.ACCEPTED, JobState.CANCELLED),
    work: () => ({ stop: async () => {} }),
    status: async () => ({ open: 0, dead: 0, oldestMs: 0 }),
    erase: async () => 0,
    ping: async () => {},
    close: async () => {},
  };
}

const executor = createEchoExecutor();
const audit: AuditEvent[] = [];
const watched = createWatchedTelemetry().telemetry;
const telemetry: Telemetry = { ...watched, audit: { ...watched.audit, write: (event) => void audit.push(event) } };
const parts = createParts({ executor, queue: createMapQueue(), telemetry });
const services = createServices(parts);
const front = createOpenFront(parts.telemetry);
const as = (caller: Caller, from = services) => createInProcessTransport(from, { caller, front });

test("a call needs its scope, and admin includes all", async () => {
  const call = { name: "echo" };
  await expect(createClient(ToolExecutor, as(callerOf("tools:read"))).executeTool({ call })).rejects.toMatchObject({
    code: Code.PermissionDenied,
  });
  expect((await createClient(ToolExecutor, as(callerOf("tools:execute"))).executeTool({ call })).result?.name).toBe(
    "echo",
  );
  expect((await createClient(ToolExecutor, as(local)).executeTool({ call })).result?.name).toBe("echo");
});

test("running a conversation needs a separate scope", async () => {
  const converse = (...scopes: Scope[]) =>
    Array.fromAsync(createClient(Conversations, as(callerOf(...scopes))).runConversation({ message: "hello" }));
  await expect(converse("tools:execute", "tools:read")).rejects.toMatchObject({ code: Code.PermissionDenied });
  // Allowed, but not configured here.
  await expect(converse("conversations:run")).rejects.toMatchObject({ code: Code.Unimplemented });
});

test("the source is the caller's name unless it may delegate", async () => {
  executor.seen.length = 0;
  const context = { source: "genesys", runId: "r" };
  await createClient(ToolExecutor, as(callerOf("tools:execute"))).executeTool({ call: { name: "echo" }, context });
  await createClient(ToolExecutor, as(callerOf("tools:execute", "calls:delegate"))).executeTool({
    call: { name: "echo" },
    context,
  });
  await createClient(ToolExecutor, as(callerOf("tools:execute"))).executeTool({ call: { name: "echo" } });
  expect(executor.seen.map(({ request }) => [request.context?.source, request.context?.runId])).toEqual([
    ["crm", "r"],
    ["genesys", "r"],
    ["crm", ""],
  ]);
});

test("a trace given with a call reaches the executor", async () => {
  executor.seen.length = 0;
  const contextValues = createContextValues().set(kTrace, ROOT_CONTEXT);
  await createClient(ToolExecutor, as(local)).executeTool({ call: { name: "echo" } }, { contextValues });
  expect(executor.seen[0]?.request.trace).toBe(ROOT_CONTEXT);
  expect(executor.seen[0]?.request.cancellation).toBeUndefined();
});

test("ids over 256 characters, invalid deadlines and too many calls are invalid_argument (hazard 12)", async () => {
  const client = createClient(ToolExecutor, as(local));
  const invalid = { code: Code.InvalidArgument };
  await expect(client.executeTool({ call: { name: "echo", id: "x".repeat(257) } })).rejects.toMatchObject(invalid);
  expect((await client.executeTool({ call: { name: "echo", id: "😀".repeat(256) } })).result?.callId).toHaveLength(512);
  await expect(client.executeTool({})).rejects.toMatchObject(invalid);
  for (const seconds of [-1n, 86_401n, 2n ** 60n]) {
    await expect(
      client.executeTool({ call: { name: "echo" }, answerWithin: { seconds, nanos: 0 } }),
    ).rejects.toMatchObject(invalid);
  }
  const calls = Array.from({ length: 65 }, (_, index) => ({ name: "echo", id: String(index) }));
  await expect(Array.fromAsync(client.executeTools({ calls }))).rejects.toMatchObject(invalid);
  await expect(client.listTools({ pageSize: -1 })).rejects.toMatchObject(invalid);
});

test("a batch streams progress and results as they happen, then all in request order", async () => {
  const calls = [
    { name: "progress", id: "1" },
    { name: "echo", id: "2" },
  ];
  const events = await Array.fromAsync(createClient(ToolExecutor, as(local)).executeTools({ calls }));
  expect(events.map(({ event }) => event.case)).toEqual(["progress", "result", "result", "done"]);
  const done = events.at(-1)?.event;
  expect(done?.case === "done" && done.value.results.map(({ callId }) => callId)).toEqual(["1", "2"]);
});

test("tools are listed page by page, and only those that the caller may use", async () => {
  const client = createClient(ToolExecutor, as(callerOf("tools:read")));
  const first = await client.listTools({ pageSize: 1 });
  const second = await client.listTools({ pageSize: 1, pageToken: first.nextPageToken });
  expect([first.tools.map(({ name }) => name), second.tools.map(({ name }) => name), second.nextPageToken]).toEqual([
    ["get_a"],
    ["get_b"],
    "",
  ]);
});

test("waiting for a call returns its state before the deadline passes", async () => {
  const client = createClient(ToolExecutor, as(local));
  executor.calls.set("w", { state: CallState.RUNNING, result: undefined });
  expect((await client.waitCall({ callId: "w" }, { timeoutMs: 300 })).state).toBe(CallState.RUNNING);
  await expect(client.getCall({ callId: "none" })).rejects.toMatchObject({ code: Code.NotFound });
  await expect(client.waitCall({ callId: "none" })).rejects.toMatchObject({ code: Code.NotFound });
});

test("an in-process call ends at its deadline and when its signal fires, also as a stream", async () => {
  const client = createClient(ToolExecutor, as(local));
  await expect(client.executeTool({ call: { name: "slow" } }, { timeoutMs: 20 })).rejects.toMatchObject({
    code: Code.DeadlineExceeded,
  });
  await expect(
    Array.fromAsync(client.executeTools({ calls: [{ name: "slow" }] }, { timeoutMs: 20 })),
  ).rejects.toMatchObject({ code: Code.DeadlineExceeded });
  await expect(client.executeTool({ call: { name: "slow" } }, { signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: Code.Canceled,
  });
  await expect(client.executeTool({ call: { name: "throw" } })).rejects.toMatchObject({
    code: Code.Internal,
    rawMessage: "internal error",
  });
});

test("an unreachable store is unavailable", async () => {
  const down = { ...executor, execute: () => Promise.reject(new LedgerUnavailableError("redis://secret@host")) };
  const client = createClient(ToolExecutor, as(local, createServices({ ...parts, executor: down })));
  await expect(client.executeTool({ call: { name: "echo" } })).rejects.toMatchObject({
    code: Code.Unavailable,
    rawMessage: expect.not.stringContaining("secret"),
  });
});

test("a missing implementation is unimplemented, and a bundled name cannot be registered", async () => {
  const target = { target: { case: "http" as const, value: { url: "http://a" } } };
  await expect(
    createClient(ToolRegistry, as(local)).registerTool({ tool: { name: "new" }, target }),
  ).rejects.toMatchObject({ code: Code.Unimplemented });
  await expect(
    Array.fromAsync(createClient(Conversations, as(local)).runConversation({ message: "a" })),
  ).rejects.toMatchObject({ code: Code.Unimplemented });
  const registered: string[] = [];
  const remoteTools = {
    register: async ({ tool }: RegisterToolRequest) => (registered.push(tool?.name ?? ""), tool as never),
    unregister: async (name: string) => name === "new",
  };
  const client = createClient(
    ToolRegistry,
    as(local, createServices({ ...parts, remoteTools, registry: createNamedRegistry(["echo"]) })),
  );
  await expect(client.registerTool({ tool: { name: "echo" }, target })).rejects.toMatchObject({
    code: Code.AlreadyExists,
  });
  await client.registerTool({ tool: { name: "new" }, target });
  await client.unregisterTool({ name: "new" });
  await expect(client.unregisterTool({ name: "old" })).rejects.toMatchObject({ code: Code.NotFound });
  expect(registered).toEqual(["new"]);
});

test("a job belongs to its tenant, gets its id from its content, and changes only from a valid state", async () => {
  const own = createClient(Jobs, as(callerOf("jobs:read", "jobs:write", "tools:execute")));
  const other = createClient(Jobs, as({ ...local, tenant: "t2" }));
  const job = {
    calls: [{ id: "1", name: "echo", input: { case: "arguments" as const, value: { b: 1, a: 2 } } }],
    context: { runId: "r" },
  };
  const { job: stored } = await own.submitJob({ job });
  const again = await own.submitJob({ job: create(JobSchema, job) });
  expect([again.job?.id, stored?.source, stored?.state]).toEqual([stored?.id, "crm", JobState.ACCEPTED]);
  const id = stored?.id ?? "";
  expect((await own.getJob({ id })).job?.id).toBe(id);
  expect((await own.listJobs({})).jobs).toHaveLength(1);
  expect((await other.listJobs({})).jobs).toHaveLength(0);
  audit.length = 0;
  await expect(other.getJob({ id })).rejects.toMatchObject({ code: Code.NotFound });
  await expect(other.getJob({ id: "unknown" })).rejects.toMatchObject({ code: Code.NotFound });
  expect(audit).toMatchObject([{ event: "access_refused", caller: "local", tenant: "t2", job_id: id }]);
  await expect(other.cancelJob({ id })).rejects.toMatchObject({ code: Code.NotFound });
  await expect(own.retryJob({ id })).rejects.toMatchObject({ code: Code.FailedPrecondition });
  expect((await own.cancelJob({ id })).job?.state).toBe(JobState.CANCELLED);
  await expect(own.cancelJob({ id })).rejects.toMatchObject({ code: Code.FailedPrecondition });
  await expect(own.submitJob({ job: {} })).rejects.toMatchObject({ code: Code.InvalidArgument });
});

test("health follows the service, for each name, and watchers are notified (hazard 37)", async () => {
  let serving = true;
  const listeners = new Set<() => void>();
  const health = {
    serving: () => serving,
    onChange: (listener: () => void) => (listeners.add(listener), () => void listeners.delete(listener)),
  };
  const client = createClient(
    Health,
    as(local, createServices({ ...parts, serving: health, telemetry: createWatchedTelemetry().telemetry })),
  );
  expect((await client.check({})).status).toBe(Status.SERVING);
  expect((await client.check({ service: ToolExecutor.typeName })).status).toBe(Status.SERVING);
  await expect(client.check({ service: "nope" })).rejects.toMatchObject({ code: Code.NotFound });
  const watching = new AbortController();
  const seen: Status[] = [];
  const watch = (async () => {
    for await (const { status } of client.watch({}, { signal: watching.signal })) seen.push(status);
  })();
  await expect.poll(() => seen).toEqual([Status.SERVING]);
  serving = false;
  for (const tell of listeners) tell();
  await expect.poll(() => seen).toEqual([Status.SERVING, Status.NOT_SERVING]);
  watching.abort();
  await expect(watch).rejects.toMatchObject({ code: Code.Canceled });
  await expect.poll(() => listeners.size).toBe(0);
});
