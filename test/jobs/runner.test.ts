import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import type { HandlerContext } from "@connectrpc/connect";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import {
  ExecuteToolResponseSchema,
  ExecuteToolsResponseSchema,
  ToolExecutor,
} from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { Outcome, ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import type { CallContext, ToolCall, ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Deliveries, DeliveryResult, Delivery } from "../../src/jobs/delivery.ts";
import { createSqliteJobQueue } from "../../src/jobs/drivers/sqlite.ts";
import type { JobQueue, JobRecord, JobWorker } from "../../src/jobs/job-queue.ts";
import { createJobRunner } from "../../src/jobs/runner.ts";
import type { JobRunnerOptions } from "../../src/jobs/runner.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import type { SqliteStore } from "../../src/store/sqlite.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { aRecord } from "./samples.ts";

let folder: ReturnType<typeof scratchFolder>;
let store: SqliteStore;
let queue: JobQueue;
let runners: JobWorker[] = [];

beforeEach(async () => {
  folder = scratchFolder();
  store = await openSqliteStore({ folder: folder.path });
  queue = createSqliteJobQueue(store);
});

afterEach(async () => {
  for (const runner of runners.splice(0)) await runner.stop(AbortSignal.timeout(1_000));
  await store.close();
  folder[Symbol.dispose]();
});

/** What an executor was asked: one call or several. */
interface Asked {
  readonly calls: readonly ToolCall[];
  readonly context?: CallContext | undefined;
}

/** A client whose executor answers OK to every call, unless `before` throws; and what it was asked. */
function anExecutor(before: (request: Asked, context: HandlerContext) => unknown = () => {}) {
  const requests: Asked[] = [];
  const execute = async (request: Asked, context: HandlerContext): Promise<ToolResult[]> => {
    requests.push(request);
    await before(request, context);
    return request.calls.map(({ id, name }) =>
      create(ToolResultSchema, { callId: id, name, outcome: Outcome.OK, output: `answer ${requests.length}` }),
    );
  };
  const transport = createRouterTransport(({ rpc }) => {
    rpc(ToolExecutor.method.executeTool, async ({ call, context: place }, context) => {
      const [result] = await execute({ calls: [call!], context: place }, context);
      return create(ExecuteToolResponseSchema, { result: result! });
    });
    rpc(ToolExecutor.method.executeTools, async function* (request, context) {
      const results = await execute(request, context);
      for (const result of results)
        yield create(ExecuteToolsResponseSchema, { event: { case: "result", value: result } });
      yield create(ExecuteToolsResponseSchema, { event: { case: "done", value: { results } } });
    });
  });
  return { requests, client: createClient(ToolExecutor, transport) };
}

/** A delivery that answers with these in turn, the last one from then on; and what it was given. */
function aDelivery(...answers: (DeliveryResult | Error)[]): { tries: JobRecord[]; delivery: Delivery } {
  const tries: JobRecord[] = [];
  return {
    tries,
    delivery: async (record) => {
      tries.push(record);
      const answer = answers[Math.min(tries.length, answers.length) - 1];
      if (answer instanceof Error) throw answer;
      return answer ?? { kind: "delivered" };
    },
  };
}

/** The deliveries of the tenant that records belong to. */
const to = (send: Delivery): Deliveries => ({ genesys: { tenant: "default", send } });

const delivered: string[] = [];
const telemetry: JobRunnerOptions["telemetry"] = {
  log: pino({ level: "silent" }),
  begin: (_name, parent) => ({ context: parent ?? ROOT_CONTEXT, span: undefined }),
  metrics: {
    executed() {},
    rpcServed() {},
    accessRefused() {},
    measureFor: () => () => {},
    breakerChanged() {},
    gauge() {},
    delivered: ({ platform, result }) => void delivered.push(`${platform} ${result}`),
  },
  extract: () => undefined,
  inject: () => ({ "x-trace": "given" }),
  redact: (text) => text.replaceAll("s3cret", "[secret]"),
};

function run(
  options: Partial<JobRunnerOptions> & Pick<JobRunnerOptions, "executorFor">,
  on: JobQueue = queue,
): JobWorker {
  const runner = createJobRunner({
    queue: on,
    deliveries: {},
    telemetry,
    retryForMs: 60_000,
    backoff: () => 20,
    ...options,
  });
  runners.push(runner);
  return runner;
}

const stateOf = async (record: JobRecord): Promise<JobState | undefined> => (await queue.get(record.job.id))?.job.state;

describe("a job", () => {
  test("is executed in its context, delivered with its results, and done", async () => {
    const headers: (string | null)[] = [];
    const { client, requests } = anExecutor((_request, context) => headers.push(context.requestHeader.get("x-trace")));
    const { tries, delivery } = aDelivery();
    const callers: string[] = [];
    run({
      executorFor: ({ caller }) => {
        callers.push(caller);
        return client;
      },
      deliveries: to(delivery),
    });
    const record = aRecord();
    await queue.enqueue(record);
    await expect.poll(() => stateOf(record)).toBe(JobState.DONE);
    expect(callers).toEqual(["crm"]);
    expect(headers).toEqual(["given"]);
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatchObject({ context: { runId: "run-1", source: "genesys" }, calls: [{ id: "call-1" }] });
    expect(tries[0]).toMatchObject({
      job: { state: JobState.DELIVERING, attempts: 1, results: [{ output: "answer 1" }] },
    });
    expect(await queue.get(record.job.id)).toMatchObject({
      job: { attempts: 1, error: "", results: [{ callId: "call-1" }] },
    });
  });

  test("with several calls has all their results, in their order", async () => {
    const { client, requests } = anExecutor();
    run({ executorFor: () => client });
    const record = aRecord({ delivery: "" });
    const [call] = record.job.calls;
    record.job.calls.push({ ...call!, id: "call-2" });
    await queue.enqueue(record);
    await expect.poll(() => stateOf(record)).toBe(JobState.DONE);
    expect(requests).toHaveLength(1);
    const { results } = (await queue.get(record.job.id))!.job;
    expect(results.map(({ callId }) => callId)).toEqual([call!.id, "call-2"]);
  });

  test("without a delivery is done once executed", async () => {
    const { client } = anExecutor();
    run({ executorFor: () => client });
    const record = aRecord({ delivery: "" });
    await queue.enqueue(record);
    await expect.poll(() => stateOf(record)).toBe(JobState.DONE);
    expect((await queue.get(record.job.id))?.job).toMatchObject({ attempts: 0, results: [{ output: "answer 1" }] });
  });

  test("whose delivery fails is delivered again, not executed again, with the same results", async () => {
    const { client, requests } = anExecutor();
    const { tries, delivery } = aDelivery({ kind: "retry", error: "status 503" }, new Error("socket hang up"), {
      kind: "delivered",
    });
    run({ executorFor: () => client, deliveries: to(delivery) });
    const record = aRecord();
    await queue.enqueue(record);
    await expect.poll(() => stateOf(record)).toBe(JobState.DONE);
    expect(requests).toHaveLength(1);
    expect(tries.map(({ job }) => job.attempts)).toEqual([1, 2, 3]);
    expect(tries.map(({ job }) => job.results[0]?.output)).toEqual(["answer 1", "answer 1", "answer 1"]);
    expect(tries.map(({ job }) => job.error)).toEqual(["", "status 503", "socket hang up"]);
  });

  test("is delivered after the pause that the platform requests", async () => {
    const { client } = anExecutor();
    const tried = new Set<string>();
    const delivered: string[] = [];
    const [late, soon] = [aRecord(), aRecord()];
    run({
      executorFor: () => client,
      deliveries: to(async ({ job }) => {
        if (!tried.has(job.id)) {
          tried.add(job.id);
          // The job that is to wait longer begins to wait first.
          if (job.id === late.job.id) await queue.enqueue(soon);
          return { kind: "retry", error: "429", afterMs: job.id === late.job.id ? 3_000 : 1_000 };
        }
        delivered.push(job.id);
        return { kind: "delivered" };
      }),
    });
    await queue.enqueue(late);
    await expect.poll(() => stateOf(late), { timeout: 10_000 }).toBe(JobState.DONE);
    expect(delivered).toEqual([soon.job.id, late.job.id]);
  });

  test("is not delivered in a tight loop if the platform requests an immediate retry", async () => {
    const { client } = anExecutor();
    const { tries, delivery } = aDelivery({ kind: "retry", error: "429", afterMs: 0 });
    const working = run({ executorFor: () => client, deliveries: to(delivery), backoff: () => 10_000 });
    const record = aRecord();
    await queue.enqueue(record);
    await expect.poll(async () => (await queue.get(record.job.id))?.job.attempts).toBe(1);
    await working.stop();
    expect(tries).toHaveLength(1);
  });

  test("is given up after the time for retries, with its last error, and delivered again when an operator retries it", async () => {
    const { client, requests } = anExecutor();
    const { delivery } = aDelivery({ kind: "retry", error: "status 503" });
    let now = 1_700_000_000_000;
    const stopped = run({
      executorFor: () => client,
      deliveries: to(delivery),
      retryForMs: 1_000,
      now: () => (now += 300),
    });
    const record = aRecord();
    await queue.enqueue(record);
    await expect.poll(() => stateOf(record)).toBe(JobState.DEAD);
    expect((await queue.get(record.job.id))?.job.error).toBe("status 503");
    await stopped.stop();
    expect(delivered).toContain("genesys dead");

    await queue.retry(record.job.id);
    run({ executorFor: () => client, deliveries: to(aDelivery().delivery) });
    await expect.poll(() => stateOf(record)).toBe(JobState.DONE);
    expect(requests).toHaveLength(1);
  });

  test.each([
    ["that the platform refuses for good", to(aDelivery({ kind: "dead", error: "status 403" }).delivery), "status 403"],
    ["whose delivery is not configured any more", {}, "no delivery genesys is configured"],
    ["whose delivery is named like a property of every object", {}, "no delivery constructor is configured"],
  ])("%s becomes a dead letter at once", async (_name, deliveries, error) => {
    const { client } = anExecutor();
    run({ executorFor: () => client, deliveries });
    const record = aRecord({ delivery: error.includes("constructor") ? "constructor" : "genesys" });
    await queue.enqueue(record);
    await expect.poll(() => stateOf(record)).toBe(JobState.DEAD);
    expect((await queue.get(record.job.id))?.job).toMatchObject({ error, results: [{ callId: "call-1" }] });
  });

  test("that cannot be executed now is executed later", async () => {
    let refusals = 2;
    const { client, requests } = anExecutor(() => {
      if (refusals-- > 0) throw new ConnectError("the store cannot be reached", Code.Unavailable);
    });
    run({ executorFor: () => client });
    const record = aRecord({ delivery: "" });
    await queue.enqueue(record);
    await expect.poll(() => stateOf(record)).toBe(JobState.DONE);
    expect(requests).toHaveLength(3);
    expect((await queue.get(record.job.id))?.job.error).toBe("");
  });

  test("whose caller no longer has any rights is a dead letter, and is executed when an operator retries it", async () => {
    const { client } = anExecutor();
    const first = run({
      executorFor: () => {
        throw new ConnectError("the caller crm is no longer configured", Code.PermissionDenied);
      },
    });
    const record = aRecord({ delivery: "" });
    await queue.enqueue(record);
    await expect.poll(() => stateOf(record)).toBe(JobState.DEAD);
    expect((await queue.get(record.job.id))?.job.error).toBe("the caller crm is no longer configured");
    await first.stop();
    await queue.retry(record.job.id);
    run({ executorFor: () => client });
    await expect.poll(() => stateOf(record)).toBe(JobState.DONE);
  });
});

describe("permanent failures", () => {
  test("an execution that ends with an internal error is tried five times, then the job is a dead letter", async () => {
    const { client, requests } = anExecutor(() => {
      throw new ConnectError("no detail", Code.Internal);
    });
    run({ executorFor: () => client, backoff: () => 1 });
    const record = aRecord({ delivery: "" });
    await queue.enqueue(record);
    await expect.poll(() => stateOf(record), { timeout: 5_000 }).toBe(JobState.DEAD);
    expect(requests).toHaveLength(5);
    expect((await queue.get(record.job.id))?.job.error).toContain("the execution failed 5 times");
  });

  test("the count survives the process, and ends with a success or an operator's retry", async () => {
    const failing = anExecutor(() => {
      throw new ConnectError("no detail", Code.Internal);
    });
    const record = aRecord({ delivery: "", failures: 4 });
    const first = run({ executorFor: () => failing.client, backoff: () => 1 });
    await queue.enqueue(record);
    await expect.poll(() => stateOf(record), { timeout: 5_000 }).toBe(JobState.DEAD);
    expect(failing.requests).toHaveLength(1);
    await first.stop();
    expect(await queue.retry(record.job.id)).toMatchObject({ failures: 0 });
    run({ executorFor: () => anExecutor().client });
    await expect.poll(() => stateOf(record)).toBe(JobState.DONE);
  });

  test("a delivery belongs to one tenant: another tenant's job never uses its credentials", async () => {
    const { tries, delivery } = aDelivery();
    run({ executorFor: () => anExecutor().client, deliveries: to(delivery) });
    const record = aRecord({ tenant: "other" });
    await queue.enqueue(record);
    await expect.poll(() => stateOf(record)).toBe(JobState.DEAD);
    expect(tries).toEqual([]);
  });

  test("a stored error shows no secret that the platform echoes", async () => {
    const { delivery } = aDelivery({ kind: "retry", error: "503 s3cret" }, { kind: "dead", error: "403 s3cret" });
    const seen = new Set<string | undefined>();
    run({ executorFor: () => anExecutor().client, deliveries: to(delivery), backoff: () => 300 });
    const record = aRecord();
    await queue.enqueue(record);
    await expect
      .poll(async () => {
        const job = (await queue.get(record.job.id))?.job;
        seen.add(job?.error);
        return job?.state;
      })
      .toBe(JobState.DEAD);
    expect([...seen].filter((error) => error !== "")).toEqual(["503 [secret]", "403 [secret]"]);
  });
});

test("the time for retries is the total of attempts and pauses, added up over processes", async () => {
  const { tries, delivery } = aDelivery({ kind: "retry", error: "status 503" });
  const record = aRecord({ deliveryMs: 59_900, state: JobState.ACCEPTED });
  run({ executorFor: () => anExecutor().client, deliveries: to(delivery), backoff: () => 60 });
  await queue.enqueue(record);
  await expect.poll(() => stateOf(record), { timeout: 5_000 }).toBe(JobState.DEAD);
  // The first try leaves at least 40 ms of 60 s, and the second cannot be followed by a pause of 60 ms.
  expect(tries.length).toBeGreaterThanOrEqual(1);
  expect(tries.length).toBeLessThanOrEqual(2);
});

describe("after a restart", () => {
  /** Runs a job until `at` is called, and leaves it there as a crash would. */
  async function crash(
    record: JobRecord,
    options: (stuck: () => Promise<never>) => Omit<Parameters<typeof run>[0], never>,
  ): Promise<JobQueue> {
    const reached = Promise.withResolvers<void>();
    const stuck = (): Promise<never> => {
      reached.resolve();
      return new Promise<never>(() => {});
    };
    const dying = createSqliteJobQueue(store);
    createJobRunner({
      queue: dying,
      deliveries: {},
      telemetry,
      retryForMs: 60_000,
      backoff: () => 20,
      ...options(stuck),
    });
    await dying.enqueue(record);
    await reached.promise;
    return createSqliteJobQueue(store);
  }

  test("a job that was being executed is executed again under the same ids", async () => {
    const record = aRecord({ delivery: "" });
    const after = await crash(record, (stuck) => ({ executorFor: () => anExecutor(stuck).client }));
    expect(await stateOf(record)).toBe(JobState.EXECUTING);
    const { client, requests } = anExecutor();
    run({ executorFor: () => client }, after);
    await expect.poll(() => stateOf(record)).toBe(JobState.DONE);
    expect(requests[0]).toMatchObject({ context: { runId: "run-1", source: "genesys" }, calls: [{ id: "call-1" }] });
  });

  test("a job that was being delivered is delivered and not executed again", async () => {
    const record = aRecord();
    const first = anExecutor();
    const after = await crash(record, (stuck) => ({ executorFor: () => first.client, deliveries: to(stuck) }));
    expect(await stateOf(record)).toBe(JobState.DELIVERING);
    const second = anExecutor();
    const { tries, delivery } = aDelivery();
    run({ executorFor: () => second.client, deliveries: to(delivery) }, after);
    await expect.poll(() => stateOf(record)).toBe(JobState.DONE);
    expect(second.requests).toEqual([]);
    expect(tries[0]?.job.results[0]?.output).toBe("answer 1");
  });
});

test("stopping leaves an execution that does not end for the next process", async () => {
  const started = Promise.withResolvers<void>();
  const { client } = anExecutor(async (_request, { signal }) => {
    started.resolve();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    throw new ConnectError("aborted", Code.Canceled);
  });
  const runner = run({ executorFor: () => client });
  const record = aRecord();
  await queue.enqueue(record);
  await started.promise;
  await runner.stop(AbortSignal.timeout(50));
  expect(await stateOf(record)).toBe(JobState.EXECUTING);
});
