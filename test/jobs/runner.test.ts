import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { aRecord } from "./samples.ts";
import { aDelivery, anExecutor, delivered, to, useRunners } from "./runners.ts";

const { run, queue, stateOf } = useRunners();

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
    await queue().enqueue(record);
    await expect.poll(() => stateOf(record)).toBe(JobState.DONE);
    expect(callers).toEqual(["crm"]);
    expect(headers).toEqual(["given"]);
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatchObject({ context: { runId: "run-1", source: "genesys" }, calls: [{ id: "call-1" }] });
    expect(tries[0]).toMatchObject({
      job: { state: JobState.DELIVERING, attempts: 1, results: [{ output: "answer 1" }] },
    });
    expect(await queue().get(record.job.id)).toMatchObject({
      job: { attempts: 1, error: "", results: [{ callId: "call-1" }] },
    });
  });

  test("with several calls has all their results, in their order", async () => {
    const { client, requests } = anExecutor();
    run({ executorFor: () => client });
    const record = aRecord({ delivery: "" });
    const [call] = record.job.calls;
    record.job.calls.push({ ...call!, id: "call-2" });
    await queue().enqueue(record);
    await expect.poll(() => stateOf(record)).toBe(JobState.DONE);
    expect(requests).toHaveLength(1);
    const { results } = (await queue().get(record.job.id))!.job;
    expect(results.map(({ callId }) => callId)).toEqual([call!.id, "call-2"]);
  });

  test("without scope and call ids gets the same run and ids in every attempt, which no other job has", async () => {
    const { client, requests } = anExecutor(() => {
      if (requests.length === 1) throw new ConnectError("the store is unavailable", Code.Unavailable);
    });
    run({ executorFor: () => client, concurrency: 1 });
    const [one, other] = [aRecord({ delivery: "", context: {} }), aRecord({ delivery: "", context: {} })];
    for (const { job } of [one, other]) {
      const [call] = job.calls;
      job.calls.push({ ...call!, id: "" }, { ...call!, id: "" });
    }
    await queue().enqueue(one);
    await expect.poll(() => stateOf(one)).toBe(JobState.DONE);
    await queue().enqueue(other);
    await expect.poll(() => stateOf(other)).toBe(JobState.DONE);
    const sent = requests.map(({ calls, context }) => [context?.runId, ...calls.map(({ id }) => id)]);
    const [failed, repeated, ofOther] = sent;
    expect(repeated).toEqual(failed);
    expect(failed?.[1]).toBe("call-1");
    expect(new Set([...failed!, ...ofOther!]).size).toBe(7);
    expect([...failed!, ...ofOther!]).not.toContain("");
  });

  test("is executed again, and not delivered, while one of its results is PENDING", async () => {
    const answers = [Outcome.PENDING, Outcome.OK];
    const { client, requests } = anExecutor(undefined, () => answers[requests.length - 1] ?? Outcome.OK);
    const { tries, delivery } = aDelivery();
    run({ executorFor: () => client, deliveries: to(delivery) });
    const record = aRecord();
    await queue().enqueue(record);
    await expect.poll(() => stateOf(record)).toBe(JobState.DONE);
    expect(requests).toHaveLength(2);
    expect(tries.map(({ job }) => job.results.map(({ outcome }) => outcome))).toEqual([[Outcome.OK]]);
  });

  test("without a delivery is done once executed", async () => {
    const { client } = anExecutor();
    run({ executorFor: () => client });
    const record = aRecord({ delivery: "" });
    await queue().enqueue(record);
    await expect.poll(() => stateOf(record)).toBe(JobState.DONE);
    expect((await queue().get(record.job.id))?.job).toMatchObject({ attempts: 0, results: [{ output: "answer 1" }] });
  });

  test("whose delivery fails is delivered again, not executed again, with the same results", async () => {
    const { client, requests } = anExecutor();
    const { tries, delivery } = aDelivery({ kind: "retry", error: "status 503" }, new Error("socket hang up"), {
      kind: "delivered",
    });
    run({ executorFor: () => client, deliveries: to(delivery) });
    const record = aRecord();
    await queue().enqueue(record);
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
          // The job with the longer pause starts to wait first.
          if (job.id === late.job.id) await queue().enqueue(soon);
          return { kind: "retry", error: "429", afterMs: job.id === late.job.id ? 3_000 : 1_000 };
        }
        delivered.push(job.id);
        return { kind: "delivered" };
      }),
    });
    await queue().enqueue(late);
    await expect.poll(() => stateOf(late), { timeout: 10_000 }).toBe(JobState.DONE);
    expect(delivered).toEqual([soon.job.id, late.job.id]);
  });

  test("is not delivered in a tight loop if the platform requests an immediate retry", async () => {
    const { client } = anExecutor();
    const { tries, delivery } = aDelivery({ kind: "retry", error: "429", afterMs: 0 });
    const working = run({ executorFor: () => client, deliveries: to(delivery), backoff: () => 10_000 });
    const record = aRecord();
    await queue().enqueue(record);
    await expect.poll(async () => (await queue().get(record.job.id))?.job.attempts).toBe(1);
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
    await queue().enqueue(record);
    await expect.poll(() => stateOf(record)).toBe(JobState.DEAD);
    expect((await queue().get(record.job.id))?.job.error).toBe("status 503");
    await stopped.stop();
    expect(delivered).toContain("genesys dead");

    await queue().retry(record.job.id);
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
    await queue().enqueue(record);
    await expect.poll(() => stateOf(record)).toBe(JobState.DEAD);
    expect((await queue().get(record.job.id))?.job).toMatchObject({ error, results: [{ callId: "call-1" }] });
  });

  test("that cannot be executed now is executed later", async () => {
    let refusals = 2;
    const { client, requests } = anExecutor(() => {
      if (refusals-- > 0) throw new ConnectError("the store cannot be reached", Code.Unavailable);
    });
    run({ executorFor: () => client });
    const record = aRecord({ delivery: "" });
    await queue().enqueue(record);
    await expect.poll(() => stateOf(record)).toBe(JobState.DONE);
    expect(requests).toHaveLength(3);
    expect((await queue().get(record.job.id))?.job.error).toBe("");
  });

  test("whose caller no longer has any rights is a dead letter, and is executed when an operator retries it", async () => {
    const { client } = anExecutor();
    const first = run({
      executorFor: () => {
        throw new ConnectError("the caller crm is no longer configured", Code.PermissionDenied);
      },
    });
    const record = aRecord({ delivery: "" });
    await queue().enqueue(record);
    await expect.poll(() => stateOf(record)).toBe(JobState.DEAD);
    expect((await queue().get(record.job.id))?.job.error).toBe("the caller crm is no longer configured");
    await first.stop();
    await queue().retry(record.job.id);
    run({ executorFor: () => client });
    await expect.poll(() => stateOf(record)).toBe(JobState.DONE);
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
  await queue().enqueue(record);
  await started.promise;
  await runner.stop(AbortSignal.timeout(50));
  expect(await stateOf(record)).toBe(JobState.EXECUTING);
});
