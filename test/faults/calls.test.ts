import { describe, expect, test } from "vitest";
import { until } from "../e2e/support/until.ts";
import { postgresMissing, startPostgres } from "../support/postgres-server.ts";
import { redisMissing, startRedis } from "../support/redis-server.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { pending, settledAnswer, startWriteUnderWay, uncertain } from "./write-under-way.ts";

const testMs = 120_000;
const durable = ["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"];

describe("a process that is killed during its request", () => {
  test(
    "does not cause the write to run again before the request has arrived (embedded, with reconcile)",
    async () => {
      await using world = await startWriteUnderWay("put_known", [undefined], 15_000);
      const [service] = world.replicas;
      await service?.kill();
      await service?.start();
      // `reconcile` would return "not done" now, and be wrong a moment later.
      expect(await world.repeat(service)).toContain(pending);
      expect(world.downstream.requests).toHaveLength(0);
      world.release();
      expect(await settledAnswer(world)).toContain('\\"number\\":1');
    },
    testMs,
  );

  test(
    "leaves a write uncertain if its end cannot be determined",
    async () => {
      await using world = await startWriteUnderWay("put", [undefined]);
      const [service] = world.replicas;
      await service?.kill();
      await service?.start();
      world.release();
      expect(await settledAnswer(world)).toContain(uncertain);
      expect(world.downstream.requests).toHaveLength(1);
    },
    testMs,
  );
});

const noRedis = redisMissing();

describe.skipIf(noRedis !== undefined)(`a frozen process${noRedis === undefined ? "" : ` (${noRedis})`}`, () => {
  test(
    "during its request makes others wait, then report it as uncertain, which it settles when it continues",
    async () => {
      const redis = await startRedis(durable);
      try {
        await using world = await startWriteUnderWay("put", [redis.url, redis.url]);
        const [frozen, other] = world.replicas;
        frozen?.signal("SIGSTOP");
        expect(await world.repeat(other)).toContain(pending);
        world.release();
        await until("the other has given it up", async () => (await world.repeat(other)).includes(uncertain), 30_000);
        frozen?.signal("SIGCONT");
        const answer = await settledAnswer(world);
        // Its own caller may have received the pending answer in time.
        const own = await world.answer;
        if (!own?.includes(pending)) expect(own).toBe(answer);
        expect(world.downstream.requests).toHaveLength(1);
      } finally {
        await redis.close();
      }
    },
    testMs,
  );
});

const noPostgres = postgresMissing();

describe.skipIf(noPostgres !== undefined)(
  `a process that is disconnected from its engine${noPostgres === undefined ? "" : ` (${noPostgres})`}`,
  () => {
    test(
      "finishes its call, and all replicas give its answer",
      async () => {
        const postgres = await startPostgres();
        try {
          const server = new URL(postgres.url);
          await using proxy = await startTcpProxy(Number(server.port));
          const through = new URL(postgres.url);
          through.port = String(proxy.port);
          await using world = await startWriteUnderWay("put_known", [through.href, postgres.url]);
          proxy.mode = "silent";
          proxy.blackhole();
          world.release();
          // The effect has happened; the answer waits until it is durable.
          expect(await world.answer).toContain(pending);
          expect(world.downstream.requests).toHaveLength(1);
          proxy.mode = "pass";
          proxy.cut();
          expect(await settledAnswer(world)).toContain('\\"number\\":1');
          expect(world.downstream.requests).toHaveLength(1);
        } finally {
          await postgres.close();
        }
      },
      testMs,
    );
  },
);
