import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { describe, expect, test } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { ExecuteToolsResponseSchema, ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import type { ExecuteToolsRequest } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import type { JobLease, JobQueue, JobRecord, Work } from "../../src/jobs/job-queue.ts";
import { createJobRunner, type JobRunnerOptions } from "../../src/jobs/runner.ts";
import { kJob, kTrace } from "../../src/telemetry/trace-key.ts";
import { aRecord } from "./samples.ts";

const trace = ROOT_CONTEXT.setValue(Symbol("trace"), "of this job");

/** Passes one job at a time to the runner, like the queue, with an executor that `answers`; and records its steps. */
function running(
  answers: (request: ExecuteToolsRequest) => boolean | Promise<boolean>,
  options: Partial<JobRunnerOptions> = {},
) {
  const seen = {
    lines: [] as object[],
    begun: [] as unknown[],
    statuses: [] as unknown[],
    ends: 0,
    pauses: [] as number[],
    values: [] as unknown[],
    concurrency: 0,
  };
  let work: Work | undefined;
  const queue = {
    work: (given: Work, { concurrency }: { concurrency: number }) => {
      work = given;
      seen.concurrency = concurrency;
      return { stop: async () => {} };
    },
  } as unknown as JobQueue;
  const transport = createRouterTransport(({ rpc }) => {
    rpc(ToolExecutor.method.executeTools, async function* (request) {
      const done = await answers(request);
      const results = request.calls.map(({ id }) => create(ToolResultSchema, { callId: id, output: "answer" }));
      for (const result of results)
        yield create(ExecuteToolsResponseSchema, { event: { case: "result", value: result } });
      if (done) yield create(ExecuteToolsResponseSchema, { event: { case: "done", value: { results } } });
    });
  });
  const client = createClient(ToolExecutor, {
    ...transport,
    stream: (method, signal, timeoutMs, header, input, contextValues) => {
      seen.values.push([contextValues?.get(kTrace), contextValues?.get(kJob)]);
      return transport.stream(method, signal, timeoutMs, header, input, contextValues);
    },
  });
  const line = (level: string) => (fields: object, message: string) =>
    void seen.lines.push({ level, message, ...fields });
  const span = {
    setStatus: (status: unknown) => void seen.statuses.push(status),
    end: () => void (seen.ends += 1),
  } as unknown as Span;
  createJobRunner({
    queue,
    executorFor: () => client,
    deliveries: {},
    telemetry: {
      log: { info: line("info"), warn: line("warn"), error: line("error") },
      begin: (name: string, parent: unknown, about: () => object) => {
        seen.begun.push([name, parent, about()]);
        return { context: trace, span };
      },
      metrics: { delivered() {} },
      extract: (traceparent: string) => `from ${traceparent}`,
      inject: () => ({}),
      redact: (text: string) => text.replaceAll("s3cret", "[secret]"),
    } as unknown as JobRunnerOptions["telemetry"],
    retryForMs: 60_000,
    backoff: (tries) => (seen.pauses.push(tries), tries * 10),
    ...options,
  });
  return { seen, work: (record: JobRecord, lease = aLease()) => work!(record, lease) };
}

function aLease(aborted = false): JobLease & { saved: JobRecord[] } {
  const saved: JobRecord[] = [];
  const signal = aborted ? AbortSignal.abort() : new AbortController().signal;
  return { saved, signal, valid: () => true, save: async (record) => void saved.push(record) };
}

const executing = (change: Parameters<typeof aRecord>[0] = {}): JobRecord =>
  aRecord({ id: "job-1", state: JobState.EXECUTING, delivery: "", ...change });

const throwing = (code: Code, message = "no detail"): (() => never) => {
  return () => {
    throw new ConnectError(message, code);
  };
};

describe("the execution of a job", () => {
  test("ends it with its results if nothing is to be delivered, and clears earlier errors", async () => {
    const record = executing({ failures: 3 });
    record.job.error = "an earlier failure";
    const { seen, work } = running(() => true);
    const lease = aLease();
    const result = await work(record, lease);
    expect(result).toMatchObject({
      kind: "ended",
      record: { failures: 0, job: { state: JobState.DONE, error: "", results: [{ callId: "call-1" }] } },
    });
    expect([lease.saved, seen.lines, seen.statuses, seen.ends]).toEqual([[], [], [], 1]);
  });

  test("is durable before anything is delivered", async () => {
    const order: string[] = [];
    const lease = aLease();
    const { work } = running(() => true, {
      deliveries: {
        genesys: {
          tenant: "default",
          send: async () => {
            order.push(`sent after ${lease.saved.length} saves`);
            return { kind: "delivered" };
          },
        },
      },
    });
    const result = await work(executing({ delivery: "genesys" }), lease);
    expect(result.record.job.state).toBe(JobState.DONE);
    expect(order).toEqual(["sent after 1 saves"]);
    expect(lease.saved).toMatchObject([{ job: { state: JobState.DELIVERING, results: [{ callId: "call-1" }] } }]);
  });

  test("has the job's trace, id and context, whose source is the job's unless it has its own", async () => {
    const requests: ExecuteToolsRequest[] = [];
    const { seen, work } = running((request) => requests.push(request) > 0);
    const record = executing({ context: { runId: "run-1" } });
    await work(record);
    await work(executing({ context: { source: "its own" } }));
    const without = executing();
    delete without.job.context;
    await work(without);
    expect(requests.map(({ context }) => context?.source)).toEqual(["genesys", "its own", "genesys"]);
    expect(requests[0]?.context?.runId).toBe("run-1");
    expect(record.job.context?.source).toBe("");
    expect(seen.values).toEqual(Array.from({ length: 3 }, () => [trace, "job-1"]));
  });

  test("has its own span in the trace of its request, which ends with the job's error", async () => {
    const { seen, work } = running(throwing(Code.InvalidArgument, "no such call"));
    await work(executing({ traceparent: "00-1-2-01", context: { runId: "run-1" } }));
    await work(executing({ traceparent: "" }));
    const attributes = expect.objectContaining({ "jackfield.source": "genesys" }) as object;
    expect(seen.begun).toEqual([
      ["job", "from 00-1-2-01", { kind: SpanKind.CONSUMER, attributes }],
      ["job", undefined, { kind: SpanKind.CONSUMER, attributes }],
    ]);
    const attributesOfFirst = (seen.begun as [string, unknown, { attributes: Record<string, unknown> }][])[0]?.[2];
    expect(Object.values(attributesOfFirst?.attributes ?? {})).toEqual(expect.arrayContaining(["run-1", "job-1"]));
    const status = { code: SpanStatusCode.ERROR, message: "no such call" };
    expect([seen.statuses, seen.ends]).toEqual([[status, status], 2]);
  });

  test("whose lease is lost throws, and its span ends", async () => {
    const { seen, work } = running(() => true);
    const lost = { ...aLease(), save: () => Promise.reject(new Error("the job belongs to another worker now")) };
    await expect(work(executing({ delivery: "genesys" }), lost)).rejects.toThrow("belongs to another worker");
    expect(seen.ends).toBe(1);
  });

  test.each([Code.InvalidArgument, Code.PermissionDenied, Code.Unauthenticated, Code.Unimplemented])(
    "that ends with code %i is not retried, because no retry would change that",
    async (code) => {
      const { seen, work } = running(throwing(code, "not s3cret"));
      expect(await work(executing({ context: { runId: "run-1" }, delivery: "genesys" }))).toMatchObject({
        kind: "ended",
        record: { job: { state: JobState.DEAD, error: "not [secret]" } },
      });
      const about = { job: "job-1", run_id: "run-1", delivery: "genesys", error: "not [secret]" };
      expect(seen.lines).toEqual([{ level: "error", message: "a job became a dead letter", ...about }]);
    },
  );

  test.each([Code.Unavailable, Code.Canceled, Code.Aborted, Code.DeadlineExceeded, Code.ResourceExhausted])(
    "that ends with code %i is retried without limit, because the problem is temporary",
    async (code) => {
      const { seen, work } = running(throwing(code, "s3cret"));
      const record = executing({ failures: 4, context: { runId: "run-1" } });
      for (const tries of [1, 2, 3]) {
        expect(await work(record)).toMatchObject({
          kind: "later",
          afterMs: tries * 10,
          record: {
            failures: 4,
            job: {
              state: JobState.EXECUTING,
              error: expect.stringMatching(/^\[\w+\] \[secret\]$/) as string,
            },
          },
        });
      }
      expect(seen.lines).toHaveLength(3);
      const line = {
        level: "warn",
        message: "a job could not be executed now",
        job: "job-1",
        run_id: "run-1",
        tries: 3,
      };
      expect(seen.lines[2]).toMatchObject(line);
      expect((seen.lines[2] as { err: unknown }).err).toBeInstanceOf(ConnectError);
    },
  );

  test("that ends otherwise is tried five times in total", async () => {
    const { work } = running(throwing(Code.Internal));
    expect(await work(executing({ failures: 3 }))).toMatchObject({ kind: "later", record: { failures: 4 } });
    expect(await work(executing({ failures: 4 }))).toMatchObject({
      kind: "ended",
      record: { job: { state: JobState.DEAD, error: "the execution failed 5 times: [internal] no detail" } },
    });
    const silent = running(() => false);
    expect(await silent.work(executing())).toMatchObject({
      kind: "later",
      record: { failures: 1, job: { error: "the execution ended without its results" } },
    });
    const odd = running(() => true, {
      executorFor: () => {
        throw "no error at all";
      },
    });
    expect(await odd.work(executing())).toMatchObject({ record: { failures: 1, job: { error: "no error at all" } } });
  });

  test("that is interrupted because the worker stops does not count, and is repeated at once by the next", async () => {
    const { seen, work } = running(throwing(Code.Internal));
    expect(await work(executing({ failures: 4 }), aLease(true))).toMatchObject({
      kind: "later",
      afterMs: 0,
      record: { failures: 4 },
    });
    expect(seen.pauses).toEqual([]);
  });

  test("counts its attempts anew once it has succeeded, or was given up", async () => {
    let answer: () => boolean = throwing(Code.Unavailable);
    const { seen, work } = running(() => answer());
    await work(executing());
    await work(executing());
    answer = () => true;
    await work(executing());
    answer = throwing(Code.Unavailable);
    await work(executing());
    answer = throwing(Code.InvalidArgument);
    await work(executing());
    answer = throwing(Code.Unavailable);
    await work(executing());
    expect(seen.pauses).toEqual([1, 2, 1, 1]);
  });
});

test("a job that is over, such as one that was cancelled while it was claimed, is left unchanged", async () => {
  const { work } = running(throwing(Code.Internal));
  const record = executing({ state: JobState.CANCELLED });
  expect(await work(record)).toEqual({ kind: "ended", record });
});

test("16 jobs run concurrently by default", () => {
  expect(running(() => true).seen.concurrency).toBe(16);
  expect(running(() => true, { concurrency: 3 }).seen.concurrency).toBe(3);
});
