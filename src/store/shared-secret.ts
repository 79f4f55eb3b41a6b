import { randomBytes } from "node:crypto";
import type { PostgresStore } from "./postgres.ts";
import type { RedisStore } from "./redis.ts";
import type { SqliteStore } from "./sqlite.ts";

/**
 * Returns 256 random bits as text. They are generated on first use and stored, so that all processes of the store get
 * the same ones, also after a restart. Rejects with a StoreUnavailableError.
 */
export type SharedSecret = () => Promise<string>;

/** The shared secret of the embedded store. */
export function sqliteSecret(store: SqliteStore): SharedSecret {
  return cachedSecret(async (fresh) => {
    const [, rows] = await store.run([
      { sql: "INSERT INTO shared_secret VALUES (1, ?) ON CONFLICT DO NOTHING", params: [fresh] },
      { sql: "SELECT text FROM shared_secret" },
    ]);
    return Array.isArray(rows) ? rows[0]?.[0] : undefined;
  });
}

/** The shared secret of a Redis server. */
export function redisSecret(store: RedisStore, key = "jackfield:shared-secret"): SharedSecret {
  return cachedSecret(async (fresh) => {
    await store.request((client) => client.set(key, fresh, "NX"));
    return await store.request((client) => client.get(key));
  });
}

/** The shared secret of a PostgreSQL server. */
export function postgresSecret(store: PostgresStore): SharedSecret {
  return cachedSecret(async (fresh) => {
    await store.migrate(
      "shared_secret",
      "CREATE TABLE IF NOT EXISTS jackfield.shared_secret (id smallint PRIMARY KEY CHECK (id = 1), text text NOT NULL)",
    );
    await store.query("INSERT INTO jackfield.shared_secret VALUES (1, $1) ON CONFLICT DO NOTHING", [fresh]);
    const rows = await store.query<{ text: string }>("SELECT text FROM jackfield.shared_secret");
    return rows[0]?.text;
  });
}

/** Reads the secret from the store, and caches it after the first success. */
function cachedSecret(keep: (fresh: string) => Promise<unknown>): SharedSecret {
  let cached: Promise<string> | undefined;
  const read = async (): Promise<string> => {
    const text = await keep(randomBytes(32).toString("base64url"));
    if (typeof text !== "string" || text === "") throw new TypeError("the store has not kept its shared secret");
    return text;
  };
  return () => {
    cached ??= read().catch((cause: unknown) => {
      cached = undefined;
      throw cause;
    });
    return cached;
  };
}
