import { describe, expect } from "vitest";
import { redisMissing, startRedis } from "../support/redis-server.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { pollCallback, sendCallback } from "./support/requests.ts";
import { until } from "./support/until.ts";
import { startWorld } from "./support/world.ts";

const config = { adapters: { cognigy: { answerWithinMs: 200 } } };
const stillRuns = "The request is still being processed. Do not repeat it.";
const retry = "Tool execution timed out or failed. Please retry.";
const uncertain = "It is not known whether this request took effect. Do not repeat it; check first.";
const noRedis = redisMissing();

const outputOf = (text: string): unknown => (JSON.parse(text) as { output: unknown }).output;

describe.skipIf(noRedis !== undefined)(`over two replicas${noRedis === undefined ? "" : ` (${noRedis})`}`, () => {
  testRequirement(
    ["003.7", "003.9"],
    "a call that outlived its answer deadline is found by a poll at the other replica",
    async () => {
      const redis = await startRedis(["--appendonly", "yes", "--maxmemory-policy", "noeviction"]);
      try {
        await using world = await startWorld();
        const env = { JACKFIELD_ENGINE_URL: redis.url };
        const [one, other] = await Promise.all([world.start({ config, env }), world.start({ config, env })]);
        const release = world.downstream.hold();
        const answers = await Promise.all([
          sendCallback(one.url, "write", "put"),
          sendCallback(one.url, "again", "set"),
          sendCallback(one.url, "read", "look"),
        ]);
        expect(answers.map(({ text }) => outputOf(text))).toEqual([stillRuns, stillRuns, retry]);
        for (const id of ["write", "again", "read"]) {
          await until(`${id} is known there`, async () => (await pollCallback(other.url, id)).status === 202);
          expect(JSON.parse((await pollCallback(other.url, id)).text)).toEqual({ tool_call_id: id, status: "pending" });
        }
        expect((await pollCallback(other.url, "never sent")).status).toBe(404);
        release();
        for (const id of ["write", "again", "read"]) {
          await until(`${id} has its answer there`, async () => (await pollCallback(other.url, id)).status === 200);
          expect(outputOf((await pollCallback(other.url, id)).text)).toContain('"id"');
        }
        const repeated = await sendCallback(other.url, "write", "put");
        expect(outputOf(repeated.text)).toBe(outputOf((await pollCallback(one.url, "write")).text));
        expect(world.downstream.requests.filter(({ callId }) => callId === "write")).toHaveLength(1);
      } finally {
        await redis.close();
      }
    },
    60_000,
  );

  testRequirement(
    ["003.9"],
    "a call whose replica was killed is taken over by the other one within seconds",
    async () => {
      const redis = await startRedis(["--appendonly", "yes", "--maxmemory-policy", "noeviction"]);
      try {
        await using world = await startWorld();
        const env = { JACKFIELD_ENGINE_URL: redis.url };
        const [one, other] = await Promise.all([world.start({ config, env }), world.start({ config, env })]);
        const release = world.downstream.hold();
        await Promise.all([
          sendCallback(one.url, "write", "put"),
          sendCallback(one.url, "again", "set"),
          sendCallback(one.url, "known", "put_known"),
        ]);
        await one.kill();
        for (const id of ["write", "again", "known"]) expect((await pollCallback(other.url, id)).status).toBe(202);
        release();
        for (const id of ["write", "again", "known"]) {
          await until(`${id} has its answer`, async () => (await pollCallback(other.url, id)).status === 200, 40_000);
        }
        expect(outputOf((await pollCallback(other.url, "write")).text)).toBe(uncertain);
        expect(outputOf((await pollCallback(other.url, "again")).text)).toContain('"number"');
        expect(outputOf((await pollCallback(other.url, "known")).text)).toContain('"number"');
        for (const id of ["write", "known"])
          expect(world.downstream.requests.filter(({ callId }) => callId === id)).toHaveLength(1);
      } finally {
        await redis.close();
      }
    },
    90_000,
  );
});

testRequirement(
  ["003.7", "003.9", "fault-003.duplicate"],
  "on the embedded store a call that outlived its answer deadline survives kill -9",
  async () => {
    await using world = await startWorld();
    const service = await world.start({ config });
    const ended = await Promise.all([
      sendCallback(service.url, "write", "put", { id: "a", delay: 600 }),
      sendCallback(service.url, "read", "look", { id: "b", delay: 600 }),
    ]);
    expect(ended.map(({ text }) => outputOf(text))).toEqual([stillRuns, retry]);
    for (const id of ["write", "read"])
      await until(`${id} ended`, async () => (await pollCallback(service.url, id)).status === 200);
    const before = (await pollCallback(service.url, "write")).text;

    const release = world.downstream.hold();
    await Promise.all([
      sendCallback(service.url, "cut", "put"),
      sendCallback(service.url, "known", "put_known"),
      sendCallback(service.url, "again", "set"),
    ]);
    await service.kill();
    release();
    await service.start();

    expect((await pollCallback(service.url, "write")).text).toBe(before);
    expect((await sendCallback(service.url, "write", "put", { id: "a", delay: 600 })).text).toBe(before);
    expect(outputOf((await pollCallback(service.url, "read")).text)).toBe('{"id":"b"}');
    for (const id of ["cut", "known", "again"]) {
      await until(`${id} has its answer`, async () => (await pollCallback(service.url, id)).status === 200);
    }
    expect(outputOf((await pollCallback(service.url, "cut")).text)).toBe(uncertain);
    expect(outputOf((await sendCallback(service.url, "cut", "put")).text)).toBe(uncertain);
    expect(outputOf((await pollCallback(service.url, "known")).text)).toContain('"number"');
    expect(outputOf((await pollCallback(service.url, "again")).text)).toContain('"number"');
    const requests = Map.groupBy(world.downstream.requests, ({ callId }) => callId);
    for (const id of ["write", "cut", "known"]) expect(requests.get(id)).toHaveLength(1);
    expect(new Set(requests.get("again")?.map(({ key }) => key)).size).toBe(1);
  },
  60_000,
);
