import { randomBytes } from "node:crypto";
import { describe, expect, onTestFinished, test } from "vitest";
import { openPostgresStore } from "../../src/store/postgres.ts";
import { openRedisStore } from "../../src/store/redis.ts";
import { createSealer, plainSealer } from "../../src/store/sealer.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import {
  createKeyCheck,
  postgresUsedKeys,
  redisUsedKeys,
  sqliteUsedKeys,
  type UsedKeys,
} from "../../src/store/used-keys.ts";
import { postgresMissing, startPostgres } from "../support/postgres-server.ts";
import { redisMissing, startRedis } from "../support/redis-server.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

const stores: Record<string, { readonly missing: string | undefined; open(): Promise<UsedKeys> }> = {
  SQLite: {
    missing: undefined,
    async open() {
      const folder = scratchFolder();
      const store = await openSqliteStore({ folder: folder.path });
      onTestFinished(async () => {
        await store.close();
        folder[Symbol.dispose]();
      });
      return sqliteUsedKeys(store);
    },
  },
  Redis: {
    missing: redisMissing(),
    async open() {
      const server = await startRedis();
      const store = await openRedisStore({ url: server.url });
      onTestFinished(async () => {
        await store.close();
        await server.close();
      });
      return redisUsedKeys(store);
    },
  },
  PostgreSQL: {
    missing: postgresMissing(),
    async open() {
      const server = await startPostgres();
      const store = await openPostgresStore({ url: server.url });
      onTestFinished(async () => {
        await store.close();
        await server.close();
      });
      return postgresUsedKeys(store);
    },
  },
};

const hour = 3_600_000;
const options = { lost: [], retentionMs: hour };
const [one, two] = ["one", "two"].map((id) => ({ id, secret: randomBytes(32) })) as [
  { id: string; secret: Buffer },
  { id: string; secret: Buffer },
];
const needed = (id: string) =>
  `encryption: stored values are encrypted with the key "${id}": add it to encryption.keys, or to encryption.lostKeys if it is lost`;

describe.each(Object.entries(stores))("the keys that sealed values in %s", (_name, { missing, open }) => {
  test.skipIf(missing !== undefined)("are listed while they are in use; the first sample of each stays", async () => {
    const keys = await open();
    expect(await keys.refresh(undefined, hour)).toEqual([]);
    expect(await keys.refresh({ id: "one", sample: "first one" }, hour)).toEqual([{ id: "one", sample: "first one" }]);
    await keys.refresh({ id: "two", sample: "of two" }, hour);
    const both = await keys.refresh({ id: "one", sample: "second" }, hour);
    expect(both.toSorted((a, b) => a.id.localeCompare(b.id))).toEqual([
      { id: "one", sample: "first one" },
      { id: "two", sample: "of two" },
    ]);
    await expect.poll(() => keys.refresh(undefined, 0)).toEqual([]);
  });

  test.skipIf(missing !== undefined)("are checked at the start", async () => {
    const keys = await open();
    const withOne = createKeyCheck(keys, createSealer([one]), options);
    expect(withOne.isMissing).toBeUndefined();
    await withOne.refresh();
    expect(withOne.isMissing).toBe(false);
    for (const sealer of [createSealer([two]), createSealer([])]) {
      const without = createKeyCheck(keys, sealer, options);
      await without.refresh();
      expect(without.isMissing).toBe(true);
      expect(sealer.notes()).toContain(needed("one"));
    }
    const otherSecret = createSealer([{ id: "one", secret: two.secret }]);
    const other = createKeyCheck(keys, otherSecret, options);
    await other.refresh();
    expect(other.isMissing).toBe(true);
    expect(otherSecret.notes()).toContainEqual(expect.stringContaining("gives this id to another secret"));
    const [rotated, lost] = [createSealer([two, one]), createSealer([two])];
    for (const check of [
      createKeyCheck(keys, rotated, options),
      createKeyCheck(keys, lost, { ...options, lost: ["one"] }),
    ]) {
      await check.refresh();
      expect(check.isMissing).toBe(false);
    }
  });
});

test("without keys nothing is recorded", async () => {
  const asked: unknown[] = [];
  const keys: UsedKeys = { refresh: async (current) => (asked.push(current), []) };
  await createKeyCheck(keys, plainSealer, options).refresh();
  expect(asked).toEqual([undefined]);
});
