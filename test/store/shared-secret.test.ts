import { describe, expect, onTestFinished, test } from "vitest";
import { openPostgresStore } from "../../src/store/postgres.ts";
import { openRedisStore } from "../../src/store/redis.ts";
import { postgresSecret, redisSecret, type SharedSecret, sqliteSecret } from "../../src/store/shared-secret.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { StoreUnavailableError } from "../../src/store/store-errors.ts";
import { postgresMissing, startPostgres } from "../support/postgres-server.ts";
import { redisMissing, startRedis } from "../support/redis-server.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

const random = /^[\w-]{43}$/;

test("in the embedded store a secret is random, and the same after a restart", async () => {
  using folder = scratchFolder();
  using other = scratchFolder();
  const read = async (path: string): Promise<string[]> => {
    const store = await openSqliteStore({ folder: path });
    const secret = sqliteSecret(store);
    const found = await Promise.all([secret(), secret(), sqliteSecret(store)()]);
    await store.close();
    return found;
  };
  const [first = "", ...same] = [...(await read(folder.path)), ...(await read(folder.path))];
  expect(first).toMatch(random);
  expect(new Set(same)).toEqual(new Set([first]));
  expect(await read(other.path)).not.toContain(first);
});

interface Engine {
  readonly missing: string | undefined;
  start(): Promise<{ url: string; kill(): Promise<void>; start(): Promise<void>; close(): Promise<void> }>;
  open(url: string): Promise<SharedSecret>;
}

const engines: Record<string, Engine> = {
  Redis: {
    missing: redisMissing(),
    start: () => startRedis(),
    async open(url) {
      const store = await openRedisStore({ url });
      onTestFinished(() => store.close());
      return redisSecret(store);
    },
  },
  PostgreSQL: {
    missing: postgresMissing(),
    start: () => startPostgres(),
    async open(url) {
      const store = await openPostgresStore({ url });
      onTestFinished(() => store.close());
      return postgresSecret(store);
    },
  },
};

describe.each(Object.entries(engines))("on %s", (_name, engine) => {
  test.skipIf(engine.missing !== undefined)(
    "replicas that request it concurrently get one secret, even after an outage",
    async () => {
      const server = await engine.start();
      onTestFinished(() => server.close());
      const secrets = await Promise.all(Array.from({ length: 3 }, () => engine.open(server.url)));
      const found = new Set(await Promise.all(secrets.map((secret) => secret())));
      expect(found.size).toBe(1);
      const [first] = found;
      expect(first).toMatch(random);
      const late = await engine.open(server.url);
      await server.kill();
      await expect(late()).rejects.toBeInstanceOf(StoreUnavailableError);
      // A process that has the secret does not read it again.
      expect(await secrets[0]?.()).toBe(first);
      await server.start();
      await expect.poll(() => late().catch(() => "away"), { timeout: 10_000 }).toBe(first);
    },
  );
});
