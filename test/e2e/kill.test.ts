import { setTimeout as wait } from "node:timers/promises";
import { describe, test } from "vitest";
import { postgresMissing, startPostgres } from "../support/postgres-server.ts";
import { redisMissing, startRedis } from "../support/redis-server.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { killRun } from "./support/kill-run.ts";

/** The long form: `JACKFIELD_KILLS=100 vitest run test/e2e/kill.test.ts`. JACKFIELD_SEED repeats the kills of a run. */
const long = Number(process.env["JACKFIELD_KILLS"] ?? 0);
const seed = process.env["JACKFIELD_SEED"] ?? String(Date.now());
const timeoutMs = 160_000 + long * 40_000;
/** Time in which Redis does not answer, in milliseconds. */
const silenceMs = long > 0 ? 40_000 : 3000;

testRequirement(
  ["001.3", "001.11", "fault-001.lost"],
  `the service on its embedded store loses and doubles nothing, however it is killed (seed ${seed}) (hazard 57)`,
  () => killRun({ seed, kills: long || 5, replicas: 1 }),
  timeoutMs,
);

const noRedis = redisMissing();

describe.skipIf(noRedis !== undefined)(`on Redis${noRedis === undefined ? "" : ` (${noRedis})`}`, () => {
  for (const replicas of long > 0 ? [2, 3] : [2]) {
    testRequirement(
      ["001.3", "001.11", "003.9"],
      `${replicas} replicas lose and double nothing, although they and Redis are killed and Redis goes silent (seed ${seed})`,
      async () => {
        const redis = await startRedis([
          "--appendonly",
          "yes",
          "--appendfsync",
          "always",
          "--maxmemory-policy",
          "noeviction",
        ]);
        try {
          await killRun({
            seed: `${seed} redis`,
            kills: long || 4,
            replicas,
            engineUrl: redis.url,
            async trouble(kill) {
              if (kill % 4 === 1) {
                await redis.kill();
                await redis.start();
              } else if (kill === 2 || kill % 50 === 10) {
                redis.pause();
                await wait(silenceMs);
                redis.resume();
              }
            },
          });
        } finally {
          await redis.close();
        }
      },
      timeoutMs,
    );
  }
});

const noPostgres = postgresMissing();

// Only in the long form: the short one must fit into a minute.
(long === 0 ? (): void => {} : describe.skipIf(noPostgres !== undefined))(
  `on PostgreSQL${noPostgres === undefined ? "" : ` (${noPostgres})`}`,
  () => {
    test(
      `two replicas lose and double nothing, although they and PostgreSQL are killed (seed ${seed})`,
      async () => {
        const postgres = await startPostgres();
        try {
          await killRun({
            seed: `${seed} postgres`,
            kills: long,
            replicas: 2,
            engineUrl: postgres.url,
            async trouble(kill) {
              if (kill % 4 !== 1) return;
              await postgres.kill();
              await postgres.start();
            },
          });
        } finally {
          await postgres.close();
        }
      },
      timeoutMs,
    );
  },
);
