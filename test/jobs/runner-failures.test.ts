import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { createSqliteJobQueue } from "../../src/jobs/drivers/sqlite.ts";
import type { JobQueue, JobRecord } from "../../src/jobs/job-queue.ts";
import { createJobRunner } from "../../src/jobs/runner.ts";
import { createSealer } from "../../src/store/sealer.ts";
import { aRecord } from "./samples.ts";
import { aDelivery, anExecutor, telemetry, to, useRunners } from "./runners.ts";

const { run, queue, store, stateOf } = useRunners();

describe("permanent failures", () => {
  test("an execution that ends with an internal error is tried five times, then the job is a dead letter", async () => {
    const { client, requests } = anExecutor(() => {
      throw new ConnectError("no detail", Code.Internal);
    });
    run({ executorFor: () => client, backoff: () => 1 });
    const record = aRecord({ delivery: "" });
    await queue().enqueue(record);
    await expect.poll(() => stateOf(record), { timeout: 5_000 }).toBe(JobState.DEAD);
    expect(requests).toHaveLength(5);
    expect((await queue().get(record.job.id))?.job.error).toContain("the execution failed 5 times");
  });

  test("the count survives the process, and ends with a success or an operator's retry", async () => {
    const failing = anExecutor(() => {
      throw new ConnectError("no detail", Code.Internal);
    });
    const record = aRecord({ delivery: "", failures: 4 });
    const first = run({ executorFor: () => failing.client, backoff: () => 1 });
    await queue().enqueue(record);
    await expect.poll(() => stateOf(record), { timeout: 5_000 }).toBe(JobState.DEAD);
    expect(failing.requests).toHaveLength(1);
    await first.stop();
    expect(await queue().retry(record.job.id)).toMatchObject({ failures: 0 });
    run({ executorFor: () => anExecutor().client });
    await expect.poll(() => stateOf(record)).toBe(JobState.DONE);
  });

  test("a job with results is delivered, not executed again, also if it is retried where it cannot be read", async () => {
    const { client, requests } = anExecutor();
    const { tries, delivery } = aDelivery({ kind: "dead", error: "401" }, { kind: "delivered" });
    const secret = new Uint8Array(32).fill(1);
    const readable = createSqliteJobQueue(store(), { sealer: createSealer([{ id: "k", secret }]) });
    const unreadable = createSqliteJobQueue(store());
    run({ executorFor: () => client, deliveries: to(delivery) }, readable);
    const record = aRecord();
    const state = async () => (await readable.get(record.job.id))?.job.state;
    await readable.enqueue(record);
    await expect.poll(state).toBe(JobState.DEAD);
    await unreadable.retry(record.job.id);
    await expect.poll(state).toBe(JobState.DONE);
    expect([requests.length, tries.length]).toEqual([1, 2]);
  });

  test("a delivery belongs to one tenant: another tenant's job never uses its credentials", async () => {
    const { tries, delivery } = aDelivery();
    run({ executorFor: () => anExecutor().client, deliveries: to(delivery) });
    const record = aRecord({ tenant: "other" });
    await queue().enqueue(record);
    await expect.poll(() => stateOf(record)).toBe(JobState.DEAD);
    expect(tries).toEqual([]);
  });

  test("a stored error shows no secret that the platform echoes", async () => {
    const { delivery } = aDelivery({ kind: "retry", error: "503 s3cret" }, { kind: "dead", error: "403 s3cret" });
    const seen = new Set<string | undefined>();
    run({ executorFor: () => anExecutor().client, deliveries: to(delivery), backoff: () => 300 });
    const record = aRecord();
    await queue().enqueue(record);
    await expect
      .poll(async () => {
        const job = (await queue().get(record.job.id))?.job;
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
  await queue().enqueue(record);
  await expect.poll(() => stateOf(record), { timeout: 5_000 }).toBe(JobState.DEAD);
  // The first try leaves at least 40 ms of 60 s, and the second cannot be followed by a pause of 60 ms.
  expect(tries.length).toBeGreaterThanOrEqual(1);
  expect(tries.length).toBeLessThanOrEqual(2);
});

describe("after a restart", () => {
  /** Runs a job until `at` is called, and leaves it as a crash would. */
  async function crash(
    record: JobRecord,
    options: (stuck: () => Promise<never>) => Omit<Parameters<typeof run>[0], never>,
  ): Promise<JobQueue> {
    const reached = Promise.withResolvers<void>();
    const stuck = (): Promise<never> => {
      reached.resolve();
      return new Promise<never>(() => {});
    };
    const dying = createSqliteJobQueue(store());
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
    return createSqliteJobQueue(store());
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
