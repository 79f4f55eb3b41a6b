import { create } from "@bufbuild/protobuf";
import { Code, createClient } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Jobs, JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { Outcome, ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../../src/auth/caller.ts";
import { grantedScopes, type Scope } from "../../src/config/scope.ts";
import { createSqliteJobQueue } from "../../src/jobs/drivers/sqlite.ts";
import type { JobQueue } from "../../src/jobs/job-queue.ts";
import { createInProcessTransport } from "../../src/rpc/in-process/transport.ts";
import { createServices } from "../../src/rpc/services/services.ts";
import { openSqliteStore, type SqliteStore } from "../../src/store/sqlite.ts";
import { createOpenFront } from "../support/front.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { createParts } from "./rpc-kit.ts";

let folder: ReturnType<typeof scratchFolder>;
let store: SqliteStore;
let queue: JobQueue;

beforeEach(async () => {
  folder = scratchFolder();
  store = await openSqliteStore({ folder: folder.path });
  queue = createSqliteJobQueue(store);
});

afterEach(async () => {
  await queue.close();
  await store.close();
  folder[Symbol.dispose]();
});

const all: readonly Scope[] = ["tools:execute", "jobs:read", "jobs:write"];

function callerOf(name: string, scopes: readonly Scope[] = all, change: Partial<Caller> = {}): Caller {
  return { name, tenant: "default", scopes: grantedScopes(scopes), tools: undefined, ...change };
}

function jobsOf(caller: Caller) {
  const parts = createParts({ queue, deliveries: { genesys: { tenant: "default" } } });
  const front = createOpenFront(parts.telemetry);
  return createClient(Jobs, createInProcessTransport(createServices(parts), { caller, front }));
}

const call = (args: string, id = "1", name = "echo") => ({
  id,
  name,
  input: { case: "argumentsJson" as const, value: args },
});
const batch = { calls: [call('{"ssn":"123"}')], context: { runId: "r" } };

describe("SubmitJob", () => {
  test.each([[["jobs:write"]], [["tools:execute"]]] as Scope[][][])("requires more than %s", async (scopes) => {
    await expect(jobsOf(callerOf("crm", scopes)).submitJob({ job: batch })).rejects.toMatchObject({
      code: Code.PermissionDenied,
    });
  });

  test("of the same batch, with an id or without, returns the existing job", async () => {
    const jobs = jobsOf(callerOf("crm"));
    const { job: first } = await jobs.submitJob({ job: batch });
    const reworded = { ...batch, calls: [call('{ "ssn" : "123" }')] };
    expect((await jobs.submitJob({ job: reworded })).job?.id).toBe(first?.id);
    expect((await jobs.submitJob({ job: { ...batch, id: first?.id ?? "" } })).job?.id).toBe(first?.id);
    await jobs.submitJob({ job: { ...batch, id: "mine" } });
    expect((await jobs.submitJob({ job: { ...reworded, id: "mine" } })).job?.id).toBe("mine");
    expect((await jobs.listJobs({})).jobs.map(({ id }) => id)).toEqual(["mine", first?.id]);
  });

  test("under the id of another job is refused and runs nothing, in the same tenant and in another", async () => {
    await jobsOf(callerOf("crm")).submitJob({ job: { ...batch, id: "mine" } });
    const other = { ...batch, id: "mine", calls: [call('{"ssn":"124"}')] };
    const tenant = { tenant: "other" };
    for (const [caller, job] of [
      [callerOf("crm"), other],
      [callerOf("crm", all, tenant), other],
      [callerOf("crm", all, tenant), { ...batch, id: "mine" }],
    ] as const) {
      await expect(jobsOf(caller).submitJob({ job })).rejects.toMatchObject({ code: Code.AlreadyExists });
    }
    expect((await queue.status()).open).toBe(1);
  });

  test("cannot use an id that a platform's batch will have", async () => {
    const genesys = callerOf("genesys");
    const taken = await jobsOf(callerOf("crm", [...all, "calls:delegate"]))
      .submitJob({ job: { ...batch, id: `batch.${"a".repeat(43)}`, source: "genesys" } })
      .catch((reason: unknown) => reason);
    expect(taken).toMatchObject({ code: Code.InvalidArgument });
    const { job } = await jobsOf(genesys).submitJob({ job: batch });
    expect(job?.id).toMatch(/^batch\.[\w-]{43}$/);
    // The same run and calls from another source are another job.
    expect((await jobsOf(callerOf("crm")).submitJob({ job: batch })).job?.id).not.toBe(job?.id);
  });

  test("stores whatever it accepts in a form that can be read back (hazards 8, 19)", async () => {
    const jobs = jobsOf(callerOf("crm"));
    let deep: Record<string, never> = {};
    for (let level = 0; level < 90; level += 1) deep = { a: deep } as unknown as Record<string, never>;
    const calls = [
      { id: "1", name: "echo", input: { case: "arguments" as const, value: deep } },
      { id: "2", name: "echo", input: { case: "arguments" as const, value: { n: Number.POSITIVE_INFINITY } } },
      call('{"n":1e999,"u":"\\ud800"}', "3"),
      call("[".repeat(100_000), "4"),
    ];
    const { job } = await jobs.submitJob({ job: { id: "odd", calls } });
    expect(job?.calls.map(({ input }) => input.case)).toEqual(calls.map(() => "argumentsJson"));
    expect((await jobs.getJob({ id: "odd" })).job?.calls).toHaveLength(4);
    expect((await jobs.listJobs({})).jobs).toHaveLength(1);
    expect((await jobs.cancelJob({ id: "odd" })).job?.state).toBe(JobState.CANCELLED);
  });

  test("delivers only for the tenant of the platform's credentials", async () => {
    const scopes: readonly Scope[] = [...all, "calls:delegate"];
    const job = { ...batch, source: "genesys" };
    const { job: own } = await jobsOf(callerOf("crm", scopes)).submitJob({ job });
    const { job: foreign } = await jobsOf(callerOf("crm", scopes, { tenant: "other" })).submitJob({ job });
    expect((await queue.get(own?.id ?? ""))?.delivery).toBe("genesys");
    expect((await queue.get(foreign?.id ?? ""))?.delivery).toBe("");
  });
});

describe("arguments and results of a job", () => {
  async function submitAndEnd(): Promise<void> {
    await jobsOf(callerOf("crm")).submitJob({ job: { ...batch, id: "mine" } });
    const worker = queue.work(
      async (record) => {
        const result = create(ToolResultSchema, { callId: "1", name: "echo", outcome: Outcome.OK, output: "secret" });
        return {
          kind: "ended",
          record: { ...record, job: { ...record.job, state: JobState.DONE, results: [result] } },
        };
      },
      { concurrency: 1 },
    );
    await expect.poll(async () => (await queue.get("mine"))?.job.state).toBe(JobState.DONE);
    await worker.stop();
  }

  test.each([
    ["its own caller", callerOf("crm"), true],
    ["another caller", callerOf("other"), false],
    ["another caller with calls:content", callerOf("other", [...all, "calls:content"]), true],
    ["an administrator", callerOf("other", ["admin"]), true],
    [
      "another caller with calls:content that may not use the tool",
      callerOf("other", [...all, "calls:content"], { tools: ["get_*"] }),
      false,
    ],
  ])("of %s", async (_who, caller, shown) => {
    await submitAndEnd();
    const jobs = jobsOf(caller);
    for (const job of [(await jobs.getJob({ id: "mine" })).job, (await jobs.listJobs({})).jobs[0]]) {
      expect(job).toMatchObject({
        id: "mine",
        state: JobState.DONE,
        calls: [{ id: "1", name: "echo" }],
        results: [{ callId: "1", name: "echo", outcome: Outcome.OK }],
      });
      expect(job?.calls[0]?.input.value).toBe(shown ? '{"ssn":"123"}' : undefined);
      expect(job?.results[0]?.output).toBe(shown ? "secret" : "");
    }
  });
});
