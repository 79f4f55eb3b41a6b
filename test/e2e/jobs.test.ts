import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { postgresMissing, startPostgres } from "../support/postgres-server.ts";
import { redisMissing, startRedis } from "../support/redis-server.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { genesysCall, get, post, sendRun } from "./support/requests.ts";
import { type Service, testPlugins } from "./support/service.ts";
import { until } from "./support/until.ts";
import { startWorld, type World } from "./support/world.ts";

const idOf = (reply: { headers: Headers }): string => reply.headers.get("jackfield-job-id") ?? "";

async function jobAt(service: Service, id: string): Promise<{ state?: string; error?: string; results?: object[] }> {
  const { text } = await post(`${service.url}/jackfield.v1.Jobs/GetJob`, { id });
  return (JSON.parse(text) as { job?: { state?: string; error?: string; results?: object[] } }).job ?? {};
}

const deliveredTo = (world: World, runId: string): boolean =>
  world.deliveries.some((delivery) => delivery.runId === runId && delivery.status === 200);

const engines = [
  ["Redis", redisMissing(), () => startRedis(["--appendonly", "yes", "--maxmemory-policy", "noeviction"])],
  ["PostgreSQL", postgresMissing(), startPostgres],
] as const;

describe.each(engines.filter(([, missing]) => missing === undefined))(
  "two replicas on %s",
  (_name, _missing, start) => {
    test("a replica that is frozen with a job loses it to the other, and does not overwrite it when it continues", async () => {
      const engine = await start();
      try {
        await using world = await startWorld();
        const env = { JACKFIELD_ENGINE_URL: engine.url };
        const frozen = await world.start({ env });
        const release = world.downstream.hold();
        const id = idOf(await sendRun(frozen.url, "run", genesysCall("a", "set")));
        await until("the tool runs", () => world.downstream.busy > 0);
        frozen.signal("SIGSTOP");
        release();
        const other = await world.start({ env });
        await until("the other delivers", () => deliveredTo(world, "run"), 30_000);
        frozen.signal("SIGCONT");
        await until("it is back", async () => (await get(`${frozen.url}/readyz`)).status === 200, 30_000);
        // Everything that it still had to write has been written or refused when a later job is done.
        const later = idOf(await sendRun(frozen.url, "later", genesysCall("b", "look")));
        await until("the later one is done", async () => (await jobAt(frozen, later)).state === "JOB_STATE_DONE");
        const job = await jobAt(other, id);
        expect([job.state, job.results?.length]).toEqual(["JOB_STATE_DONE", 1]);
        const runs = world.deliveries.filter(({ runId }) => runId === "run");
        expect(new Set(runs.map(({ key, body }) => `${key} ${body}`)).size).toBe(1);
        expect(world.downstream.idempotent.size).toBe(1);
      } finally {
        await engine.close();
      }
    }, 120_000);

    test("clocks that differ by days do not end, delete or delay a job", async () => {
      const engine = await start();
      try {
        await using world = await startWorld({ "503": 1 });
        using folder = scratchFolder();
        const file = join(folder.path, "offset");
        writeFileSync(file, String(8 * 86_400_000));
        const env = { JACKFIELD_ENGINE_URL: engine.url };
        const preload = `--import=${join(import.meta.dirname, "support/clock-jump.ts")}`;
        const ahead = { env: { ...env, TEST_CLOCK_FILE: file, NODE_OPTIONS: preload } };
        const punctual = await world.start({ env });
        const id = idOf(await sendRun(punctual.url, "run", genesysCall("a", "put")));
        await until("a delivery was tried and refused", () => world.deliveries.length > 0);
        const other = await world.start(ahead);
        await punctual.kill();
        const before = world.deliveries.length;
        await until("the other tries", () => world.deliveries.length > before, 30_000);
        expect((await jobAt(other, id)).state).toBe("JOB_STATE_DELIVERING");
        await other.kill();
        world.platform.plan({});
        await punctual.start();
        await until("it is delivered", () => deliveredTo(world, "run"), 30_000);
        expect(world.downstream.requests).toHaveLength(1);
      } finally {
        await engine.close();
      }
    }, 120_000);

    testRequirement(
      "001.11",
      "killed between the effect and the delivery: another replica delivers, and there is still one effect",
      async () => {
        const engine = await start();
        try {
          await using world = await startWorld({ "503": 1 });
          const env = { JACKFIELD_ENGINE_URL: engine.url };
          const dying = await world.start({ env });
          const other = await world.start({ env });
          await sendRun(dying.url, "run", genesysCall("a", "put"), genesysCall("b", "set"));
          await until("a delivery was tried and refused", () => world.deliveries.length > 0);
          await dying.kill();
          world.platform.plan({});
          await until("it is delivered", () => deliveredTo(world, "run"), 30_000);
          expect(world.downstream.requests).toHaveLength(2);
          expect(other.alive).toBe(true);
        } finally {
          await engine.close();
        }
      },
      120_000,
    );
  },
);

test("a job that kills its process three times is set aside; the service starts and delivers the others (hazard 57)", async () => {
  await using world = await startWorld();
  const plugins = [...testPlugins(world.downstream.url), { use: join(import.meta.dirname, "plugins/die.ts") }];
  const service = await world.start({ config: { plugins }, readyAtStart: false });
  const release = world.downstream.hold();
  const innocent = idOf(await sendRun(service.url, "innocent", genesysCall("a", "set")));
  const poison = idOf(await sendRun(service.url, "poison", genesysCall("b", "die")));
  expect([innocent, poison].every((id) => id !== "")).toBe(true);
  release();
  for (let death = 1; death < 3; death += 1) {
    await until("it dies", () => !service.alive, 30_000);
    await service.start(false).catch(() => {});
  }
  await until("it dies for the last time", () => !service.alive, 30_000);
  await service.start(false);
  await until("the poison is set aside", async () => (await jobAt(service, poison)).state === "JOB_STATE_DEAD", 30_000);
  expect((await jobAt(service, poison)).error).toContain("the process died 3 times in a row");
  expect(service.log.some((line) => line.includes("dead letter") && line.includes(poison))).toBe(true);
  await until("the innocent one is delivered", () => deliveredTo(world, "innocent"), 30_000);
  expect((await sendRun(service.url, "after", genesysCall("c", "look"))).status).toBe(202);
  await until("new ones are delivered", () => deliveredTo(world, "after"));
  expect((await get(`${service.url}/readyz`)).status).toBe(200);
}, 180_000);

testRequirement(
  "001.3",
  "a batch is answered before its work starts, however long its tool computes",
  async () => {
    await using world = await startWorld();
    using folder = scratchFolder();
    const plugins = [{ use: join(import.meta.dirname, "plugins/block.ts"), sanitize: "off" }];
    const service = await world.start({ config: { plugins } });
    // A worker waits for the second batch, so that it could start at once.
    for (const run of ["first", "second"]) {
      const file = join(folder.path, run);
      const reply = await sendRun(service.url, run, genesysCall(run, "block", { file, ms: 700 }));
      expect([reply.status, existsSync(file)]).toEqual([202, false]);
      await until("it is delivered", () => deliveredTo(world, run));
      expect(existsSync(file)).toBe(true);
    }
  },
  60_000,
);
