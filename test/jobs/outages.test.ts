import { Client } from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { createPostgresJobQueue } from "../../src/jobs/drivers/postgres.ts";
import { createRedisJobQueue } from "../../src/jobs/drivers/redis.ts";
import { JobQueueUnavailableError, type JobQueue, type WorkResult } from "../../src/jobs/job-queue.ts";
import { openPostgresStore } from "../../src/store/postgres.ts";
import { openRedisStore } from "../../src/store/redis.ts";
import { postgresMissing, startPostgres } from "../support/postgres-server.ts";
import { redisMissing, startRedis } from "../support/redis-server.ts";
import { startTcpProxy, type ProxyMode, type TcpProxy } from "../support/tcp-proxy.ts";
import { leaseMs } from "./conformance.ts";
import { aRecord } from "./samples.ts";

/** One replica: its queue on a store of its own. */
interface Replica {
  readonly queue: JobQueue;
  close(): Promise<void>;
}

interface Engine {
  readonly name: string;
  readonly missing: string | undefined;
  /** Starts the server. Resolves with its port and a function that ends it. */
  start(): Promise<{ port: number; close(): Promise<void> }>;
  open(port: number): Promise<Replica>;
  /** The answer of a server that is starting up. */
  readonly startingUp: ProxyMode;
}

const portOf = (url: string): number => Number(new URL(url).port);

/** Encodes an error that PostgreSQL sends to a client that it cannot serve yet. */
function postgresError(code: string, message: string): Buffer {
  const body = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`);
  const head = Buffer.from("E\0\0\0\0");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const engines: readonly Engine[] = [
  {
    name: "Redis",
    missing: redisMissing(),
    async start() {
      const server = await startRedis();
      return { port: portOf(server.url), close: () => server.close() };
    },
    async open(port) {
      const store = await openRedisStore({ url: `redis://127.0.0.1:${port}` });
      const queue = createRedisJobQueue(store, { leaseMs });
      return { queue, close: () => store.close() };
    },
    startingUp: { answer: "-LOADING Redis is loading the dataset in memory\r\n" },
  },
  {
    name: "PostgreSQL",
    missing: postgresMissing(),
    async start() {
      const server = await startPostgres();
      return { port: portOf(server.url), close: () => server.close() };
    },
    async open(port) {
      const store = await openPostgresStore({ url: `postgres://postgres@127.0.0.1:${port}/postgres` });
      const queue = createPostgresJobQueue(store, { leaseMs });
      return { queue, close: () => store.close() };
    },
    startingUp: { answer: postgresError("57P03", "the database system is starting up") },
  },
];

describe.each(engines.filter(({ missing }) => missing === undefined))("on $name", (engine) => {
  let server: Awaited<ReturnType<Engine["start"]>>;
  let proxy: TcpProxy;
  let replicas: Replica[];
  beforeAll(async () => {
    server = await engine.start();
  }, 60_000);
  afterAll(() => server.close());
  beforeEach(async () => {
    proxy = await startTcpProxy(server.port);
    replicas = [];
  });
  afterEach(async () => {
    for (const replica of replicas) {
      await replica.queue.close();
      await replica.close();
    }
    await proxy[Symbol.asyncDispose]();
  });

  async function open(port = proxy.port): Promise<JobQueue> {
    const replica = await engine.open(port);
    replicas.push(replica);
    return replica.queue;
  }

  const work = (queue: JobQueue): void => {
    queue.work(
      async (record): Promise<WorkResult> => ({
        kind: "ended",
        record: { ...record, job: { ...record.job, state: JobState.DONE } },
      }),
      { concurrency: 2 },
    );
  };
  const ready = (queue: JobQueue): Promise<string> => queue.ping().then(() => "ready", String);
  const stateOf = async (queue: JobQueue, id: string): Promise<JobState | undefined> =>
    (await queue.get(id).catch(() => undefined))?.job.state;

  test.each([
    ["away", "refuse"],
    ["silent", "silent"],
    ["starting up", engine.startingUp],
  ] as const)(
    "a server that is %s at the start is waited for, and then jobs are processed",
    async (_how, mode) => {
      proxy.mode = mode;
      const queue = await open();
      work(queue);
      await expect(queue.ping()).rejects.toThrow(JobQueueUnavailableError);
      await expect(queue.enqueue(aRecord())).rejects.toThrow(JobQueueUnavailableError);
      proxy.mode = "pass";
      proxy.cut();
      await expect.poll(() => ready(queue), { timeout: 15_000 }).toBe("ready");
      const record = aRecord();
      await queue.enqueue(record);
      await expect.poll(() => stateOf(queue, record.job.id), { timeout: 10_000 }).toBe(JobState.DONE);
    },
    40_000,
  );

  test("connections that go silent are replaced, and work continues", async () => {
    const queue = await open();
    work(queue);
    const before = aRecord();
    await queue.enqueue(before);
    await expect.poll(() => stateOf(queue, before.job.id), { timeout: 10_000 }).toBe(JobState.DONE);
    proxy.blackhole();
    const record = aRecord();
    await expect
      .poll(() => queue.enqueue(record).then(() => "accepted", String), { timeout: 30_000, interval: 200 })
      .toBe("accepted");
    await expect.poll(() => stateOf(queue, record.job.id), { timeout: 10_000 }).toBe(JobState.DONE);
  }, 60_000);

  test("the work on a job that another replica erases is aborted", async () => {
    const queue = await open();
    const started = Promise.withResolvers<AbortSignal>();
    const goOn = Promise.withResolvers<void>();
    queue.work(
      async (record, lease) => {
        started.resolve(lease.signal);
        await goOn.promise;
        return { kind: "later", record, afterMs: 0 };
      },
      { concurrency: 1 },
    );
    await queue.enqueue(aRecord({ context: { runId: "erased" } }));
    const signal = await started.promise;
    expect(await (await open(server.port)).erase({ tenant: "default", runId: "erased" })).toBe(1);
    await expect.poll(() => signal.aborted, { timeout: 10_000 }).toBe(true);
    goOn.resolve();
  }, 40_000);

  test("a disconnected replica loses its jobs to another one, and is not ready until it is back", async () => {
    const isolated = await open();
    const other = await open(server.port);
    const goOn = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    const valid: boolean[] = [];
    isolated.work(
      async (record, lease) => {
        started.resolve();
        await goOn.promise;
        valid.push(lease.valid());
        return { kind: "later", record, afterMs: 0 };
      },
      { concurrency: 1 },
    );
    await expect.poll(() => ready(isolated), { timeout: 10_000 }).toBe("ready");
    const record = aRecord();
    await isolated.enqueue(record);
    await started.promise;
    proxy.mode = "refuse";
    proxy.cut();
    work(other);
    await expect.poll(() => stateOf(other, record.job.id), { timeout: 10_000 }).toBe(JobState.DONE);
    expect(await ready(isolated)).not.toBe("ready");
    goOn.resolve();
    await expect.poll(() => valid).toEqual([false]);
    proxy.mode = "pass";
    await expect.poll(() => ready(isolated), { timeout: 10_000 }).toBe("ready");
    expect(await stateOf(other, record.job.id)).toBe(JobState.DONE);
  }, 60_000);
});

test.skipIf(postgresMissing())(
  "on PostgreSQL, requests that a table lock delays hold no job for long, and do not count as deaths",
  async () => {
    const server = await startPostgres();
    const store = await openPostgresStore({ url: server.url });
    const queue = createPostgresJobQueue(store, { leaseMs });
    const locker = new Client({ connectionString: server.url });
    await locker.connect();
    try {
      await queue.ping();
      const deaths = new Set<number>();
      const worker = queue.work(
        async (record) => {
          const [row] = await store.query<{ deaths: number }>("SELECT deaths FROM jackfield.jobs WHERE id = $1", [
            record.job.id,
          ]);
          deaths.add(row?.deaths ?? -1);
          return { kind: "ended", record: { ...record, job: { ...record.job, state: JobState.DONE } } };
        },
        { concurrency: 4 },
      );
      const accepted: string[] = [];
      for (let round = 0; round < 3; round += 1) {
        // Longer than any client waits: the requests are executed when nobody listens any more.
        await locker.query("BEGIN; LOCK TABLE jackfield.jobs IN SHARE MODE");
        const records = [aRecord(), aRecord()];
        const answers = await Promise.allSettled(records.map((record) => queue.enqueue(record)));
        expect(answers.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
        await locker.query("COMMIT");
        await expect
          .poll(
            () =>
              queue.ping().then(
                () => true,
                () => false,
              ),
            { timeout: 10_000 },
          )
          .toBe(true);
        for (const record of records) {
          await queue.enqueue(record);
          accepted.push(record.job.id);
        }
      }
      for (const id of accepted) {
        await expect.poll(async () => (await queue.get(id))?.job.state, { timeout: 15_000 }).toBe(JobState.DONE);
      }
      expect(Math.max(...deaths)).toBeLessThanOrEqual(0);
      await worker.stop();
    } finally {
      await locker.end();
      await queue.close();
      await store.close();
      await server.close();
    }
  },
  60_000,
);
