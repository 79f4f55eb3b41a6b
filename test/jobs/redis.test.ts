import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { createRedisJobQueue } from "../../src/jobs/drivers/redis.ts";
import { claim } from "../../src/jobs/drivers/redis-scripts.ts";
import { JobQueueUnavailableError } from "../../src/jobs/job-queue.ts";
import type { JobQueue, JobRecord, WorkResult } from "../../src/jobs/job-queue.ts";
import { StoreUnavailableError } from "../../src/store/store-errors.ts";
import { openRedisStore } from "../../src/store/redis.ts";
import type { RedisStore } from "../../src/store/redis.ts";
import { redisMissing, startRedis } from "../support/redis-server.ts";
import type { RedisServer } from "../support/redis-server.ts";
import { jobConformance, leaseMs } from "./conformance.ts";
import { expectLostClaimsReleased } from "./lost-claims.ts";
import { aRecord } from "./samples.ts";

jobConformance(
  "the job queue in Redis",
  async () => {
    const server = await startRedis();
    const stores: RedisStore[] = [];
    return {
      open: async (log) => {
        const store = await openRedisStore({ url: server.url });
        stores.push(store);
        return createRedisJobQueue(store, { log, leaseMs });
      },
      die: async (_queue, working) => await working.stop(AbortSignal.abort()),
      corrupt: async (id) => void (await stores[0]?.client.hset(`jackfield:jobs:j:${id}`, "d", "{")),
      stored: async (id) => String(await stores[0]?.client.hget(`jackfield:jobs:j:${id}`, "d")),
      close: async () => {
        for (const store of stores) await store.close();
        await server.close();
      },
    };
  },
  { unavailable: redisMissing() },
);

describe.skipIf(redisMissing())("when Redis", () => {
  let server: RedisServer;
  let store: RedisStore;
  let queue: JobQueue;
  beforeEach(async () => {
    server = await startRedis(["--appendonly", "yes", "--appendfsync", "always"]);
    store = await openRedisStore({ url: server.url });
    queue = createRedisJobQueue(store);
  });
  afterEach(async () => {
    await queue.close();
    await store.close();
    await server.close();
  });

  const done = (record: JobRecord): WorkResult => ({
    kind: "ended",
    record: { ...record, job: { ...record.job, state: JobState.DONE } },
  });
  const up = (): Promise<string> => queue.ping().then(() => "up", String);

  test("is killed, nothing is accepted; when it is back, accepted jobs are processed (hazard 63)", async () => {
    const accepted = [aRecord(), aRecord(), aRecord()];
    for (const record of accepted) await queue.enqueue(record);
    await server.kill();
    await expect(queue.enqueue(aRecord())).rejects.toThrow(JobQueueUnavailableError);
    await expect(queue.ping()).rejects.toThrow(JobQueueUnavailableError);
    const working = queue.work(async (record) => done(record), { concurrency: 2 });
    await server.start();
    await expect.poll(up, { timeout: 8_000 }).toBe("up");
    for (const record of accepted) {
      await expect
        .poll(async () => (await queue.get(record.job.id))?.job.state, { timeout: 8_000 })
        .toBe(JobState.DONE);
    }
    await working.stop();
  });

  test("is killed in the middle of a job, the job is completed when it is back", async () => {
    const started = Promise.withResolvers<void>();
    const killed = Promise.withResolvers<void>();
    let runs = 0;
    const working = queue.work(
      async (record, lease) => {
        runs += 1;
        await lease.save(record);
        started.resolve();
        await killed.promise;
        return done(record);
      },
      { concurrency: 1 },
    );
    const record = aRecord();
    await queue.enqueue(record);
    await started.promise;
    await server.kill();
    killed.resolve();
    await server.start();
    await expect
      .poll(async () => (await queue.get(record.job.id).catch(() => undefined))?.job.state, { timeout: 12_000 })
      .toBe(JobState.DONE);
    expect(runs).toBeGreaterThanOrEqual(1);
    await working.stop();
  });

  test("is paused, nothing is accepted; when it continues, so does the work (hazard 63)", async () => {
    const working = queue.work(async (record) => done(record), { concurrency: 2 });
    const before = aRecord();
    await queue.enqueue(before);
    await expect.poll(async () => (await queue.get(before.job.id))?.job.state, { timeout: 8_000 }).toBe(JobState.DONE);
    server.pause();
    const refused = aRecord();
    await expect(queue.enqueue(refused)).rejects.toThrow(JobQueueUnavailableError);
    server.resume();
    await expect.poll(up, { timeout: 8_000 }).toBe("up");
    await queue.enqueue(refused);
    await expect
      .poll(async () => (await queue.get(refused.job.id))?.job.state, { timeout: 12_000 })
      .toBe(JobState.DONE);
    await working.stop();
  });

  test("executes a claim without answering, the jobs are released and processed in their order", async () => {
    let answers = false;
    const script: RedisStore["script"] = async (one, keys, args) => {
      const result = await store.script(one, keys, args);
      if (one === claim && !answers) throw new StoreUnavailableError("no answer");
      return result;
    };
    await expectLostClaimsReleased(
      createRedisJobQueue({ ...store, script }, { leaseMs: 60_000 }),
      () => (answers = true),
    );
  });

  test("is full, nothing is accepted and a ping fails, but jobs can be read", async () => {
    const record = aRecord();
    await queue.enqueue(record);
    await queue.ping();
    await store.client.config("SET", "maxmemory", "1");
    await expect(queue.enqueue(aRecord())).rejects.toThrow(JobQueueUnavailableError);
    await expect(queue.ping()).rejects.toThrow(JobQueueUnavailableError);
    await store.client.config("SET", "maxmemory", "0");
    await expect.poll(up).toBe("up");
    expect((await queue.get(record.job.id))?.job.state).toBe(JobState.ACCEPTED);
  });

  test("fails over to a server that has lost waiting jobs, they are written again with a log line, except erased ones", async () => {
    const lines: string[] = [];
    const keep = (fields: object): void => void lines.push(JSON.stringify(fields));
    const own = createRedisJobQueue(store, { log: { warn: keep, error: keep } });
    const [waiting, ended, erased] = [aRecord(), aRecord(), aRecord({ context: { runId: "erased" } })];
    for (const record of [waiting, ended, erased]) await own.enqueue(record);
    await own.cancel(ended.job.id);
    await queue.erase({ tenant: "default", runId: "erased" });
    // The loss comes before the failure, because the queue looks for lost jobs as soon as the server is back.
    await store.client.del(`jackfield:jobs:j:${waiting.job.id}`);
    await store.client.zrem("jackfield:jobs:open", waiting.job.id);
    await server.kill();
    await expect(own.ping()).rejects.toThrow(JobQueueUnavailableError);
    await server.start();
    const working = own.work(async (record) => done(record), { concurrency: 1 });
    await expect
      .poll(async () => (await queue.get(waiting.job.id).catch(() => undefined))?.job.state, { timeout: 8_000 })
      .toBe(JobState.DONE);
    expect(lines.filter((line) => line.includes(waiting.job.id))).toHaveLength(1);
    expect((await queue.get(ended.job.id))?.job.state).toBe(JobState.CANCELLED);
    expect(await queue.get(erased.job.id)).toBeUndefined();
    await working.stop();
  });

  test("has lost a job that is executed, its worker writes it again with a log line, also if its id was erased before", async () => {
    const lines: string[] = [];
    const keep = (fields: object): void => void lines.push(JSON.stringify(fields));
    const own = createRedisJobQueue(store, { log: { warn: keep, error: keep } });
    const record = aRecord();
    await own.enqueue(record);
    expect(await own.erase({ tenant: "default", runId: "run-1" })).toBe(1);
    const started = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const working = own.work(
      async (taken, lease) => {
        started.resolve();
        await goOn.promise;
        const results = [create(ToolResultSchema, { callId: "call-1", output: "{}" })];
        const executed = { ...taken, job: { ...taken.job, state: JobState.DELIVERING, results } };
        await lease.save(executed);
        return done(executed);
      },
      { concurrency: 1 },
    );
    await own.enqueue(record);
    await started.promise;
    await store.client.del(`jackfield:jobs:j:${record.job.id}`);
    await store.client.zrem("jackfield:jobs:open", record.job.id);
    goOn.resolve();
    await expect.poll(async () => (await queue.get(record.job.id))?.job.state).toBe(JobState.DONE);
    expect((await queue.get(record.job.id))?.job.results).toHaveLength(1);
    expect(lines).toEqual([expect.stringContaining(record.job.id)]);
    await working.stop();
  });

  test("answers again after an outage, a job that was erased while it ran is not written again", async () => {
    const own = createRedisJobQueue(store);
    const [erased, waiting] = [aRecord({ context: { runId: "erased" } }), aRecord()];
    for (const record of [erased, waiting]) await own.enqueue(record);
    await queue.cancel(waiting.job.id);
    const started = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const executed: string[] = [];
    const working = queue.work(
      async (record) => {
        executed.push(record.job.id);
        started.resolve();
        await goOn.promise;
        return done(record);
      },
      { concurrency: 1 },
    );
    await started.promise;
    expect(await queue.erase({ tenant: "default", runId: "erased" })).toBe(1);
    goOn.resolve();
    await expect.poll(() => store.client.exists(`jackfield:jobs:j:${erased.job.id}`)).toBe(0);
    // The queue looks for lost jobs in the order in which they came: this one tells when it has looked for both.
    await store.client.del(`jackfield:jobs:j:${waiting.job.id}`);
    await server.kill();
    await expect(own.ping()).rejects.toThrow(JobQueueUnavailableError);
    await server.start();
    await expect
      .poll(async () => (await queue.get(waiting.job.id).catch(() => undefined))?.job.state, { timeout: 8_000 })
      .toBe(JobState.DONE);
    expect(executed).toEqual([erased.job.id, waiting.job.id]);
    expect(await queue.get(erased.job.id)).toBeUndefined();
    await working.stop();
  });
});
