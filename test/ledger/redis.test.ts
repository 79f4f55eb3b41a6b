import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import * as scripts from "../../src/ledger/drivers/redis-scripts.ts";
import { createRedisLedger } from "../../src/ledger/drivers/redis.ts";
import { type Ledger, LedgerUnavailableError } from "../../src/ledger/ledger.ts";
import { checkRedisDurability, commandTimeoutMs, openRedisStore } from "../../src/store/redis.ts";
import type { RedisStore } from "../../src/store/redis.ts";
import { StoreUnavailableError } from "../../src/store/store-errors.ts";
import { redisMissing, startRedis } from "../support/redis-server.ts";
import type { RedisServer } from "../support/redis-server.ts";
import { ledgerConformance } from "./conformance.ts";
import {
  committedLate,
  firstRequest,
  type OpenWith,
  provesLateIntentsAreNobodys,
  provesLostEntriesAreNotOverwritten,
  provesUnansweredRecoveriesAreUndone,
} from "./late.ts";
import { aResult, anIntent, beginNew } from "./samples.ts";

const missing = redisMissing();
const windowMs = 86_400_000;
const uncertainMs = 30 * 86_400_000;

ledgerConformance(
  "the ledger on Redis",
  async () => {
    const server = await startRedis();
    const stores: RedisStore[] = [];
    return {
      open: async () => {
        const store = await openRedisStore({ url: server.url });
        stores.push(store);
        return createRedisLedger(store, { windowMs, uncertainMs });
      },
      die: (ledger) => ledger.close(),
      lose: async (key) => void (await stores[0]?.client.del(`jackfield:ledger:e:${key}`)),
      close: async () => {
        for (const store of stores) await store.close();
        await server.close();
      },
    };
  },
  { unavailable: missing },
);

describe.skipIf(missing)("a Redis server", () => {
  let server: RedisServer;
  let store: RedisStore;
  beforeAll(async () => {
    server = await startRedis(["--appendonly", "yes", "--appendfsync", "always"]);
    store = await openRedisStore({ url: server.url });
  });
  afterAll(async () => {
    await store.close();
    await server.close();
  });

  test("is reported when paused, and its late work has no effect; it is used again when it continues", async () => {
    const ledger = createRedisLedger(store, { windowMs, uncertainMs });
    const kept = anIntent();
    const claim = await beginNew(ledger, kept);
    server.pause();
    const intent = anIntent();
    await expect(ledger.begin(intent)).rejects.toThrow(LedgerUnavailableError);
    expect(await ledger.finish(claim, aResult("late"), "replay")).toMatchObject({ state: "deferred" });
    await expect(ledger.begin(anIntent())).rejects.toThrow(/does not answer/);
    server.resume();
    await expect.poll(() => ledger.ping().then(() => "up", String), { timeout: 8_000 }).toBe("up");
    // The outcome that could not be stored is stored automatically; the refused intent has no owner.
    await ledger.settled();
    expect((await ledger.find(kept.key))?.result?.output).toBe("late");
    await expect.poll(async () => await ledger.find(intent.key), { timeout: 5_000 }).toBeUndefined();
    expect((await ledger.begin(intent)).state).toBe("new");
    await ledger.close();
  });

  test("is reported at once when killed; acknowledged writes are there when it is back", async () => {
    const ledger = createRedisLedger(store, { windowMs, uncertainMs });
    const [ended, running] = [anIntent(), anIntent()];
    await ledger.finish(await beginNew(ledger, ended), aResult("kept"), "replay");
    await beginNew(ledger, running);
    await server.kill();
    await expect(ledger.begin(anIntent())).rejects.toThrow(LedgerUnavailableError);
    await server.start();
    await expect.poll(() => ledger.ping().then(() => "up", String), { timeout: 8_000 }).toBe("up");
    expect((await ledger.find(ended.key))?.result?.output).toBe("kept");
    // Its owner is alive: an outage of the server makes nobody dead.
    expect((await ledger.begin(running)).state).toBe("running");
    await ledger.close();
  });

  test("that fails over and has lost entries gets them back from the process that stored them", async () => {
    const ledger = createRedisLedger(store, { windowMs, uncertainMs });
    const other = createRedisLedger(await openRedisStore({ url: server.url }), { windowMs, uncertainMs });
    const [ended, uncertain, dropped, erased, running] = [anIntent(), anIntent(), anIntent(), anIntent(), anIntent()];
    const claim = await beginNew(ledger, running);
    await ledger.finish(await beginNew(ledger, erased), aResult("erased"), "replay");
    await ledger.erase({ tenant: erased.scope.tenant, conversationId: erased.scope.conversationId });
    await ledger.finish(await beginNew(ledger, ended), aResult("done"), "replay");
    await ledger.finish(await beginNew(ledger, uncertain), aResult("?", Outcome.UNCERTAIN), "replay");
    await ledger.finish(await beginNew(ledger, dropped), aResult("failed"), "drop");
    await store.request((client) => client.flushall());
    await store.request((client) => client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")).catch(() => {});
    await expect.poll(() => other.find(ended.key).catch(String), { timeout: 8_000 }).toMatchObject({ state: "done" });
    await expect
      .poll(() => other.find(uncertain.key).catch(String), { timeout: 8_000 })
      .toMatchObject({ state: "uncertain" });
    expect(await other.begin(ended)).toMatchObject({ state: "ended", entry: { result: { output: "done" } } });
    expect(await other.begin({ ...ended, digest: "another" })).toEqual({ state: "conflict" });
    expect((await other.begin(dropped)).state).toBe("new");
    expect((await other.begin(erased)).state).toBe("new");
    expect((await other.begin(running)).state).toBe("running");
    expect(await ledger.finish(claim, aResult("at last"), "replay")).toEqual({ state: "stored" });
    expect(await other.begin(running)).toMatchObject({ state: "ended", entry: { result: { output: "at last" } } });
    await ledger.close();
    await other.close();
  });

  test("that comes back gets no outcome from one process that another one has erased, not even by a repeat", async () => {
    const [ledger, other] = [0, 1].map(() => createRedisLedger(store, { windowMs, uncertainMs })) as [Ledger, Ledger];
    const [repeated, returned, kept] = [anIntent(), anIntent(), anIntent()];
    for (const intent of [repeated, returned]) {
      await ledger.finish(await beginNew(ledger, intent), aResult("private"), "replay");
      const { tenant, conversationId } = intent.scope;
      expect(await other.erase({ tenant, conversationId })).toBe(1);
    }
    expect((await ledger.begin(repeated)).state).toBe("new");
    await ledger.finish(await beginNew(ledger, kept), aResult("kept"), "replay");
    await store.request((client) => client.del(`jackfield:ledger:e:${kept.key}`));
    await store.request((client) => client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")).catch(() => {});
    await expect.poll(() => other.find(kept.key).catch(String), { timeout: 8_000 }).toMatchObject({ state: "done" });
    expect(await other.find(returned.key)).toBeUndefined();
    // When it has run again, its new outcome is returned like any other.
    await ledger.finish(await beginNew(ledger, returned), aResult("again"), "replay");
    await store.request((client) => client.del(`jackfield:ledger:e:${returned.key}`));
    expect(await ledger.begin(returned)).toMatchObject({ state: "ended", entry: { result: { output: "again" } } });
    await ledger.close();
    await other.close();
  });

  test("that has lost an outcome unnoticed gets it by a repeat at the process that stored it", async () => {
    const ledger = createRedisLedger(store, { windowMs, uncertainMs });
    const ended = anIntent();
    await ledger.finish(await beginNew(ledger, ended), aResult("done"), "replay");
    await store.request((client) => client.flushall());
    expect(await ledger.begin(ended)).toMatchObject({ state: "ended", entry: { result: { output: "done" } } });
    expect((await ledger.find(ended.key))?.state).toBe("done");
    await ledger.close();
  });

  test("that no longer hears from two replicas gives their calls to the others", async () => {
    let frozen = false;
    const script: RedisStore["script"] = (...request) =>
      frozen ? Promise.reject(new StoreUnavailableError("frozen")) : store.script(...request);
    const silent = [1, 2].map(() => createRedisLedger({ ...store, script }, { windowMs, uncertainMs }));
    const other = createRedisLedger(store, { windowMs, uncertainMs });
    const intents = silent.map(() => anIntent({ effect: "idempotent" }));
    for (const [index, ledger] of silent.entries()) await beginNew(ledger, intents[index]!);
    frozen = true;
    for (const intent of intents)
      await expect.poll(async () => (await other.begin(intent)).state, { timeout: 8_000 }).toBe("abandoned");
    for (const ledger of [...silent, other]) await ledger.close();
  });

  const open: OpenWith = async (kind, act) => {
    const meant = { write: scripts.write, recover: scripts.recover }[kind];
    const script = firstRequest(store.script, (asked) => asked === meant, act);
    const prefix = `${kind}:`;
    const [ledger, other] = [
      createRedisLedger({ ...store, script }, { windowMs, uncertainMs, prefix }),
      createRedisLedger(store, { windowMs, uncertainMs, prefix }),
    ];
    return { ledger, other, lose: (key) => store.client.del(`${prefix}e:${key}`) };
  };

  test("that has lost an entry which another begins concurrently gives it to that one", async () => {
    await provesLostEntriesAreNotOverwritten(open);
  });

  test("that has given calls to a replica which did not get the answer gives them to the next that recovers", async () => {
    await provesUnansweredRecoveriesAreUndone(open);
  });

  test("that executes an intent after its caller was refused gives it to nobody", async () => {
    await provesLateIntentsAreNobodys(async () => {
      const { method: script, commit } = committedLate(store.script, (asked) => asked === scripts.begin);
      return { ledger: createRedisLedger({ ...store, script }, { windowMs, uncertainMs }), commit };
    });
  });

  test("that gets an intent or a recovery too late executes nothing, and nothing is to be undone", async () => {
    let waits = true;
    const asked: unknown[] = [];
    const script: RedisStore["script"] = async (one, keys, args) => {
      asked.push(one);
      // As long as its caller waits.
      if (waits && (one === scripts.begin || one === scripts.recover))
        await new Promise((resolve) => setTimeout(resolve, commandTimeoutMs + 100));
      return await store.script(one, keys, args);
    };
    const ledger = createRedisLedger({ ...store, script }, { windowMs, uncertainMs });
    const intent = anIntent();
    const late = new LedgerUnavailableError("Redis has answered too late");
    const refused = [ledger.begin(intent), ledger.recover(1)].map((request) => expect(request).rejects.toThrow(late));
    await Promise.all(refused);
    waits = false;
    expect(await ledger.find(intent.key)).toBeUndefined();
    expect((await ledger.begin(intent)).state).toBe("new");
    expect(asked).not.toContain(scripts.release);
    await ledger.close();
  });

  test("that has lost its scripts gets them again", async () => {
    const ledger = createRedisLedger(store, { windowMs, uncertainMs });
    await store.request((client) => client.script("FLUSH"));
    expect((await ledger.begin(anIntent())).state).toBe("new");
    await ledger.close();
  });

  test("expires entries by itself if nobody sweeps, later than the window, and never running ones", async () => {
    const ledger = createRedisLedger(store, { windowMs, uncertainMs, prefix: "unswept:" });
    const [ended, uncertain, running] = [anIntent(), anIntent(), anIntent()];
    await beginNew(ledger, running);
    await ledger.finish(await beginNew(ledger, ended), aResult(), "replay");
    await ledger.finish(await beginNew(ledger, uncertain), aResult("?", Outcome.UNCERTAIN), "replay");
    expect(await store.client.pttl(`unswept:e:${ended.key}`)).toBeGreaterThan(windowMs);
    expect(await store.client.pttl(`unswept:e:${ended.key}`)).toBeLessThan(uncertainMs);
    expect(await store.client.pttl(`unswept:e:${uncertain.key}`)).toBeGreaterThan(uncertainMs);
    expect(await store.client.pttl(`unswept:e:${running.key}`)).toBe(-1);
    await ledger.close();
  });

  test("keeps nothing of old entries in the sets of a conversation and run that go on", async () => {
    const ledger = createRedisLedger(store, { windowMs, uncertainMs, prefix: "sets:" });
    const group = { conversationId: "long", runId: "long" };
    const [done, uncertain, dropped] = [anIntent(group), anIntent(group), anIntent(group)];
    await ledger.finish(await beginNew(ledger, done), aResult(), "replay");
    await ledger.finish(await beginNew(ledger, uncertain), aResult("?", Outcome.UNCERTAIN), "replay");
    await ledger.finish(await beginNew(ledger, dropped), aResult(), "drop");
    const sets = [...(await store.client.keys("sets:conv:*")), ...(await store.client.keys("sets:turn:*"))];
    const members = () => Promise.all(sets.map((key) => store.client.scard(key)));
    expect(await members()).toEqual([2, 2]);
    await ledger.erase({ olderThanMs: 0, uncertainOlderThanMs: windowMs });
    expect(await members()).toEqual([1, 1]);
    await ledger.erase({ olderThanMs: 0, uncertainOlderThanMs: 0 });
    expect(await members()).toEqual([0, 0]);
    await ledger.close();
  });

  test("that is unreachable is reported, and nothing crashes", async () => {
    const faults: (string | undefined)[] = [];
    const absent = await openRedisStore({
      url: "redis://:s3cret-word@127.0.0.1:1",
      onProblem: (fault) => faults.push(fault),
    });
    await expect(absent.ping()).rejects.toThrow(/127\.0\.0\.1:1/);
    expect(faults.join(" ")).not.toContain("s3cret-word");
    await absent.close();
  });

  test("with an append-only file and without eviction is accepted", async () => {
    expect(await checkRedisDurability(store)).toBeUndefined();
  });

  test("that could lose work is reported with the settings to change", async () => {
    const careless = await startRedis(["--appendonly", "no", "--maxmemory-policy", "allkeys-lru"]);
    const careful = await openRedisStore({ url: careless.url });
    expect(await checkRedisDurability(careful)).toMatch(/appendonly yes.*set noeviction/);
    await careful.close();
    await careless.close();
  });
});
