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
  return keptOnce(async (fresh) => {
    const [, rows] = await store.run([
      { sql: "INSERT INTO shared_secret VALUES (1, ?) ON CONFLICT DO NOTHING", params: [fresh] },
      { sql: "SELECT text FROM shared_secret" },
    ]);
    return Array.isArray(rows) ? rows[0]?.[0] : undefined;
  });
}

/** The shared secret of a Redis server. */
export function redisSecret(store: RedisStore, key = "jackfield:shared-secret"): SharedSecret {
  return keptOnce(async (fresh) => {
    await store.ask((client) => client.set(key, fresh, "NX"));
    return await store.ask((client) => client.get(key));
  });
}

/** The shared secret of a PostgreSQL server. */
export function postgresSecret(store: PostgresStore): SharedSecret {
  return keptOnce(async (fresh) => {
    await store.migrate(
      "shared_secret",
      "CREATE TABLE IF NOT EXISTS jackfield.shared_secret (id smallint PRIMARY KEY CHECK (id = 1), text text NOT NULL)",
    );
    await store.query("INSERT INTO jackfield.shared_secret VALUES (1, $1) ON CONFLICT DO NOTHING", [fresh]);
    const rows = await store.query<{ text: string }>("SELECT text FROM jackfield.shared_secret");
    return rows[0]?.text;
  });
}

/** Asks the store until it has answered once, and caches the answer. */
function keptOnce(keep: (fresh: string) => Promise<unknown>): SharedSecret {
  let kept: Promise<string> | undefined;
  const ask = async (): Promise<string> => {
    const text = await keep(randomBytes(32).toString("base64url"));
    if (typeof text !== "string" || text === "") throw new TypeError("the store has not kept its shared secret");
    return text;
  };
  return () => {
    kept ??= ask().catch((cause: unknown) => {
      kept = undefined;
      throw cause;
    });
    return kept;
  };
}
