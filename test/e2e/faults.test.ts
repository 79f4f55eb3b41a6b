import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { smallDisk } from "../store/small-disk.ts";
import { redisMissing, startRedis } from "../support/redis-server.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { genesysCall, get, sendCallback, sendRun } from "./support/requests.ts";
import { until } from "./support/until.ts";
import { startService } from "./support/service.ts";
import { startWorld, type World } from "./support/world.ts";

/** Waits until everything that was acknowledged has been delivered. */
async function delivered(world: World, jobIds: readonly (string | null)[]): Promise<void> {
  await until("everything acknowledged is delivered", () => {
    const taken = new Set(world.deliveries.filter(({ status }) => status === 200).map(({ key }) => key));
    return jobIds.every((id) => taken.has(id ?? ""));
  });
}

test("a second process on the same folder is refused with a message, and the first continues", async () => {
  await using world = await startWorld();
  using folder = scratchFolder();
  const first = await world.start({ config: { dataDir: folder.path } });
  const second = world.start({ config: { dataDir: folder.path } });
  await expect(second).rejects.toThrow(
    /another Jackfield process uses the data folder .*: stop it, or give this one its own/,
  );
  expect((await sendRun(first.url, "run", genesysCall("a", "put"))).status).toBe(202);
});

test("a log that nobody reads delays nobody, and the process ends on request (hazard 43)", async () => {
  // Reads the log up to the line with the address, and then no more, while the pipe stays open.
  const command = ["bash", "-c", 'exec "$@" > >(sed --unbuffered /listening/q; exec sleep 60)', "bash"] as const;
  const plugins = [{ use: join(import.meta.dirname, "plugins/chatter.ts") }];
  await using service = await startService({ config: { plugins, sandbox: false }, command });
  for (let number = 0; number < 20; number += 1) {
    const reply = await sendCallback(service.url, `c${number}`, "chatter");
    expect(reply.status).toBe(200);
  }
  const { text } = await get(`${service.url}/metrics`);
  expect(Number(/jackfield_log_dropped_total\S* (\d+)/.exec(text)?.[1])).toBeGreaterThan(100);
  service.signal("SIGTERM");
  expect(await service.ended()).toEqual({ code: 0, signal: null });
});

const noDisk = ((): string | undefined => {
  const disk = smallDisk(1);
  disk?.[Symbol.dispose]();
  if (disk !== undefined) return undefined;
  if (process.env["JACKFIELD_TEST_ALL"] === "1") throw new Error("a small disk is needed: run as root");
  return "this process may not mount a disk";
})();

describe.skipIf(noDisk !== undefined)(`on a disk of its own${noDisk === undefined ? "" : ` (${noDisk})`}`, () => {
  testRequirement(
    ["001.3", "fault-001.lost"],
    "a full disk causes 503 before any 202, and free space 202 again, without a restart (hazard 60)",
    async () => {
      await using world = await startWorld();
      using disk = smallDisk(4)!;
      const service = await world.start({ config: { dataDir: join(disk.path, "data") } });
      const acknowledged = [
        (await sendRun(service.url, "before", genesysCall("a", "put"))).headers.get("jackfield-job-id"),
      ];
      await delivered(world, acknowledged);

      const free = disk.fill();
      const note = "x".repeat(50_000);
      let refused: Awaited<ReturnType<typeof sendRun>> | undefined;
      // SQLite may still write a few into pages that it has already allocated.
      for (let number = 0; number < 100 && refused === undefined; number += 1) {
        const reply = await sendRun(service.url, `full-${number}`, genesysCall("b", "put", { id: `b${number}`, note }));
        if (reply.status === 202) acknowledged.push(reply.headers.get("jackfield-job-id"));
        else refused = reply;
      }
      expect(refused?.status).toBe(503);
      expect(JSON.parse(refused?.text ?? "{}")).toEqual({ error: expect.any(String) });
      const callback = await sendCallback(service.url, "full", "put", { id: "full", note });
      expect(callback.status).toBe(503);
      expect(world.downstream.requests.filter(({ callId }) => callId === "full")).toEqual([]);
      await until("readiness names the full disk", async () => {
        const { status, text } = await get(`${service.url}/readyz`);
        return status === 503 && text.includes("the disk is full");
      });

      free();
      await until("it takes work again", async () => {
        const reply = await sendRun(service.url, "after", genesysCall("c", "put"));
        if (reply.status === 202) acknowledged.push(reply.headers.get("jackfield-job-id"));
        return reply.status === 202;
      });
      await delivered(world, acknowledged);
      await until("it is ready again", async () => (await get(`${service.url}/readyz`)).status === 200);
    },
  );

  test("a disk that becomes read-only causes 503 before any 202, and a writable one 202 again", async () => {
    await using world = await startWorld();
    using disk = smallDisk(8)!;
    const service = await world.start({ config: { dataDir: join(disk.path, "data") } });
    await service.kill();
    disk.remount("ro");
    await service.start(false);
    expect((await sendRun(service.url, "run", genesysCall("a", "put"))).status).toBe(503);
    expect((await sendCallback(service.url, "b", "put")).status).toBe(503);
    const ready = await get(`${service.url}/readyz`);
    expect([ready.status, ready.text]).toEqual([503, expect.stringContaining("cannot be written")]);
    expect(world.downstream.requests).toEqual([]);
    disk.remount("rw");
    await until(
      "it takes work",
      async () => (await sendRun(service.url, "run", genesysCall("a", "put"))).status === 202,
    );
    await until("it is delivered", () => world.deliveries.length === 1);
  }, 40_000);
});

const noLimits = spawnSync("prlimit", ["--version"]).status === 0 ? undefined : "prlimit is needed, of util-linux";
if (noLimits !== undefined && process.env["JACKFIELD_TEST_ALL"] === "1") throw new Error(noLimits);

describe.skipIf(noLimits !== undefined)(`with a failing disk${noLimits === undefined ? "" : ` (${noLimits})`}`, () => {
  test("an I/O error causes 503 before any 202, and a working disk 202 again, without a restart (hazard 60)", async () => {
    await using world = await startWorld();
    using folder = scratchFolder();
    const service = await world.start({ config: { dataDir: folder.path } });
    const acknowledged = [
      (await sendRun(service.url, "before", genesysCall("a", "put"))).headers.get("jackfield-job-id"),
    ];
    await delivered(world, acknowledged);

    // Beyond the limit each write fails like one to a broken disk, and SQLite reports it.
    const limitFiles = (bytes: string) =>
      execFileSync("prlimit", ["--pid", String(service.pid), `--fsize=${bytes}:unlimited`]);
    limitFiles("4096");
    expect((await sendRun(service.url, "broken", genesysCall("b", "put"))).status).toBe(503);
    expect((await sendCallback(service.url, "c", "put")).status).toBe(503);
    expect(world.downstream.requests.map(({ callId }) => callId)).toEqual(["a"]);
    await until("readiness names the fault", async () => {
      const { status, text } = await get(`${service.url}/readyz`);
      return status === 503 && text.includes("the disk reports an error");
    });
    expect((await get(`${service.url}/healthz`)).status).toBe(200);

    limitFiles("unlimited");
    await until("it takes work again", async () => {
      const reply = await sendRun(service.url, "after", genesysCall("d", "put"));
      if (reply.status === 202) acknowledged.push(reply.headers.get("jackfield-job-id"));
      return reply.status === 202;
    });
    await delivered(world, acknowledged);
    await until("it is ready again", async () => (await get(`${service.url}/readyz`)).status === 200);
    expect(world.downstream.requests.map(({ callId }) => callId)).toEqual(["a", "d"]);
  }, 40_000);
});

test("a damaged file causes 503 before any 202 and is left unchanged, and a good one in its place 202 again (hazard 60)", async () => {
  await using world = await startWorld();
  using folder = scratchFolder();
  const file = join(folder.path, "jackfield.db");
  mkdirSync(folder.path, { recursive: true });
  const damaged = Buffer.alloc(40_960, "no database ");
  writeFileSync(file, damaged);
  const service = await world.start({ config: { dataDir: folder.path }, readyAtStart: false });
  expect((await sendRun(service.url, "run", genesysCall("a", "put"))).status).toBe(503);
  const ready = await get(`${service.url}/readyz`);
  expect([ready.status, ready.text]).toEqual([
    503,
    expect.stringMatching(/jackfield\.db is damaged .*put a backup in its place/),
  ]);
  expect((await get(`${service.url}/healthz`)).status).toBe(200);
  expect(readFileSync(file)).toEqual(damaged);
  copyFileSync(file, `${file}.kept`);
  rmSync(file);
  await until("it takes work", async () => (await sendRun(service.url, "run", genesysCall("a", "put"))).status === 202);
  await until("it is delivered", () => world.deliveries.length === 1);
  expect(statSync(`${file}.kept`).size).toBe(40_960);
});

const noRedis = redisMissing();

describe.skipIf(noRedis !== undefined)(`on Redis${noRedis === undefined ? "" : ` (${noRedis})`}`, () => {
  for (const [how, away, back] of [
    ["gone", "kill", "start"],
    ["silent", "pause", "resume"],
  ] as const) {
    testRequirement(
      ["001.3", "fault-001.lost"],
      `while Redis is ${how} the webhook answers 503 within 2 s, and accepts work again by itself`,
      async () => {
        const redis = await startRedis(["--appendonly", "yes", "--maxmemory-policy", "noeviction"]);
        try {
          await using world = await startWorld();
          const service = await world.start({ env: { JACKFIELD_ENGINE_URL: redis.url } });
          const acknowledged = [
            (await sendRun(service.url, "before", genesysCall("a", "put", { id: "a", delay: 300 }))).headers.get(
              "jackfield-job-id",
            ),
          ];
          await redis[away]();
          // The first may be in progress when it happens, the others are refused at once.
          for (let number = 0; number < 4; number += 1) {
            const reply = await sendRun(service.url, `away-${number}`, genesysCall(`b${number}`, "put"));
            expect([reply.status, reply.ms < 2000]).toEqual([503, true]);
          }
          const callback = await sendCallback(service.url, "c", "put");
          expect([callback.status, callback.ms < 2500]).toEqual([503, true]);
          expect(world.downstream.requests.filter(({ callId }) => callId === "c")).toEqual([]);
          await until("readiness names Redis", async () => {
            const ready = await get(`${service.url}/readyz`);
            return ready.status === 503 && ready.text.includes("Redis at 127.0.0.1");
          });
          await redis[back]();
          await until("it takes work again", async () => {
            const reply = await sendRun(service.url, "after", genesysCall("d", "put"));
            if (reply.status === 202) acknowledged.push(reply.headers.get("jackfield-job-id"));
            return reply.status === 202;
          });
          await delivered(world, acknowledged);
          await until("it is ready again", async () => (await get(`${service.url}/readyz`)).status === 200);
          const ids = world.downstream.requests.map(({ callId }) => callId);
          expect(new Set(ids).size).toBe(ids.length);
        } finally {
          redis.resume();
          await redis.close();
        }
      },
      40_000,
    );
  }
});
