import { ROOT_CONTEXT } from "@opentelemetry/api";
import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import type { DeliveryResult, Delivery } from "../../src/jobs/delivery.ts";
import { createDeliverer, type DelivererOptions } from "../../src/jobs/deliver.ts";
import type { JobLease, JobRecord } from "../../src/jobs/job-queue.ts";
import { aRecord } from "./samples.ts";

/** A job that was executed and waits for its delivery. */
function executed(change: Parameters<typeof aRecord>[0] = {}): JobRecord {
  const context = { runId: "run-1", conversationId: "conversation-1" };
  const record = aRecord({ id: "job-1", state: JobState.DELIVERING, context, ...change });
  record.job.results = [create(ToolResultSchema, { callId: "call-1" })];
  return record;
}

/** A lease that records what is saved. */
function aLease({ valid = true, aborted = false } = {}): JobLease & { saved: JobRecord[] } {
  const saved: JobRecord[] = [];
  const signal = aborted ? AbortSignal.abort() : new AbortController().signal;
  return { saved, signal, valid: () => valid, save: async (record) => void saved.push(record) };
}

/** The delivery step to a platform with this answer, on a clock that each try advances by `tryMs`. */
function delivering(
  answer: DeliveryResult | (() => never),
  { tryMs = 10, ...options }: Partial<DelivererOptions> & { tryMs?: number } = {},
) {
  let now = 5_000;
  const seen = { lines: [] as object[], metrics: [] as object[], tries: [] as JobRecord[], asked: [] as number[] };
  const line = (level: string) => (fields: object, message: string) =>
    void seen.lines.push({ level, message, ...fields });
  const send: Delivery = async (record) => {
    seen.tries.push(record);
    now += tryMs;
    return typeof answer === "function" ? answer() : answer;
  };
  const deliver = createDeliverer({
    deliveries: { genesys: { tenant: "default", send } },
    telemetry: {
      log: { info: line("info"), warn: line("warn") },
      metrics: { delivered: (labels: object) => void seen.metrics.push(labels) },
      redact: (text: string) => text.replaceAll("s3cret", "[secret]"),
    } as unknown as DelivererOptions["telemetry"],
    retryForMs: 60_000,
    backoff: (tries) => (seen.asked.push(tries), tries * 100),
    now: () => now,
    dead: (record, error) => ({
      kind: "ended",
      record: { ...record, job: { ...record.job, error, state: JobState.DEAD } },
    }),
    ...options,
  });
  return { seen, deliver: (record: JobRecord, lease = aLease()) => deliver(record, lease, ROOT_CONTEXT) };
}

/** The fields of every log line about the job above. */
const about = { job: "job-1", run_id: "run-1", conversation: "conversation-1", delivery: "genesys" };

describe("a delivery", () => {
  test("that succeeds ends the job without its last error, with one log line and a count", async () => {
    const record = executed({ deliveryMs: 7 });
    record.job.error = "status 503";
    const { seen, deliver } = delivering({ kind: "delivered" });
    const result = await deliver(record);
    expect(result).toMatchObject({
      kind: "ended",
      record: { deliveryMs: 17, job: { state: JobState.DONE, error: "", attempts: 1 } },
    });
    expect(seen.tries).toMatchObject([{ job: { attempts: 1, error: "status 503" } }]);
    expect(seen.metrics).toEqual([{ platform: "genesys", result: "delivered" }]);
    expect(seen.lines).toEqual([{ level: "info", message: "results were delivered", ...about, attempts: 1 }]);
  });

  test("that fails is retried after the pause for its number of attempts, with a log line that shows no secret", async () => {
    const record = executed({ deliveryMs: 1_000 });
    record.job.attempts = 2;
    const { seen, deliver } = delivering({ kind: "retry", error: "503 s3cret" }, { tryMs: 10.2 });
    const result = await deliver(record);
    expect(result).toMatchObject({
      kind: "later",
      afterMs: 300,
      record: { deliveryMs: 1_311, job: { state: JobState.DELIVERING, attempts: 3, error: "503 [secret]" } },
    });
    expect(seen.asked).toEqual([3]);
    expect(seen.metrics).toEqual([{ platform: "genesys", result: "retry" }]);
    const message = "a delivery will be tried again";
    const [attempts, wait_ms, error] = [3, 300, "503 [secret]"];
    expect(seen.lines).toEqual([{ level: "warn", message, ...about, attempts, wait_ms, error }]);
  });

  test.each([
    ["shorter than our first pause", 99, 100],
    ["between the two limits", 2_000, 2_000],
    ["longer than ten minutes", 600_001, 600_000],
  ])("is repeated after a pause that the platform requests: %s", async (_name, afterMs, expected) => {
    const record = executed();
    record.job.attempts = 6;
    const { deliver } = delivering({ kind: "retry", error: "429", afterMs }, { retryForMs: 3_600_000 });
    expect(await deliver(record)).toMatchObject({ kind: "later", afterMs: expected });
  });

  test("whose code throws is retried with the message", async () => {
    const thrown = (cause: unknown) =>
      delivering(() => {
        throw cause;
      }).deliver(executed());
    expect(await thrown(new Error("socket hang up"))).toMatchObject({
      kind: "later",
      record: { job: { error: "socket hang up" } },
    });
    expect(await thrown("no error at all")).toMatchObject({ record: { job: { error: "no error at all" } } });
  });

  test("is given up if its time ends before the next attempt, with the last error and the elapsed time", async () => {
    // A try of 10 ms and a pause of 100 ms.
    const left = delivering({ kind: "retry", error: "503" }, { retryForMs: 110 });
    expect(await left.deliver(executed())).toMatchObject({ kind: "later" });
    const over = delivering({ kind: "retry", error: "503" }, { retryForMs: 109 });
    expect(await over.deliver(executed())).toMatchObject({
      kind: "ended",
      record: { deliveryMs: 10, job: { state: JobState.DEAD, error: "503", attempts: 1 } },
    });
    expect(over.seen.metrics).toEqual([{ platform: "genesys", result: "dead" }]);
    expect(over.seen.lines).toEqual([]);
  });

  test("that the platform refuses permanently is given up at once, whatever time is left", async () => {
    const { seen, deliver } = delivering({ kind: "dead", error: "403" });
    expect(await deliver(executed())).toMatchObject({
      kind: "ended",
      record: { job: { state: JobState.DEAD, error: "403" } },
    });
    expect([seen.metrics, seen.asked]).toEqual([[{ platform: "genesys", result: "dead" }], []]);
  });

  test("that is interrupted because the worker stops does not count, and is repeated by the next", async () => {
    const record = executed({ deliveryMs: 5 });
    const { seen, deliver } = delivering({ kind: "retry", error: "aborted" });
    expect(await deliver(record, aLease({ aborted: true }))).toEqual({ kind: "later", record, afterMs: 0 });
    expect([seen.metrics, seen.lines]).toEqual([[], []]);
    // An answer that has reached the platform counts nevertheless.
    const late = delivering({ kind: "delivered" });
    expect(await late.deliver(record, aLease({ aborted: true }))).toMatchObject({ kind: "ended" });
  });

  test("does not start before the lease is renewed, if that may have expired", async () => {
    const record = executed();
    const [valid, expired] = [aLease(), aLease({ valid: false })];
    const { seen, deliver } = delivering({ kind: "delivered" });
    await deliver(record, valid);
    expect(valid.saved).toEqual([]);
    await deliver(record, expired);
    expect(expired.saved).toEqual([record]);
    const lost: JobLease = {
      ...expired,
      save: () => Promise.reject(new Error("the job belongs to another worker now")),
    };
    seen.tries.length = 0;
    await expect(deliver(record, lost as ReturnType<typeof aLease>)).rejects.toThrow("belongs to another worker");
    expect(seen.tries).toEqual([]);
  });

  test("without a destination, or with another tenant's credentials, ends the job with the reason", async () => {
    const { seen, deliver } = delivering({ kind: "delivered" });
    const reason = async (record: JobRecord): Promise<string> => (await deliver(record)).record.job.error;
    expect(await reason(executed({ delivery: "cognigy" }))).toBe("no delivery cognigy is configured");
    expect(await reason(executed({ tenant: "other" }))).toBe("no delivery genesys is configured for this tenant");
    expect(seen.tries).toEqual([]);
  });
});
