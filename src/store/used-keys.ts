import type { PostgresStore } from "./postgres.ts";
import type { RedisStore } from "./redis.ts";
import type { Sealer } from "./sealer.ts";
import type { SqliteStore } from "./sqlite.ts";

/** A key that has sealed stored values. */
export interface UsedKey {
  readonly id: string;
  /** A text sealed with the key. */
  readonly sample: string;
}

/** The keys in use, as recorded in the store itself, which avoids reading the sealed values. */
export interface UsedKeys {
  /**
   * Records that a key is in use now, and lists the keys that were in use within the last `withinMs` milliseconds.
   * Keeps an existing sample. Rejects with a StoreUnavailableError.
   */
  refresh(current: UsedKey | undefined, withinMs: number): Promise<UsedKey[]>;
}

/** The used keys in the embedded store. */
export function sqliteUsedKeys(store: SqliteStore): UsedKeys {
  return {
    async refresh(current, withinMs) {
      const now = store.now();
      const answers = await store.run([
        ...(current === undefined
          ? []
          : [
              {
                sql: `INSERT INTO used_keys VALUES (?1, ?2, ?3)
                  ON CONFLICT (id) DO UPDATE SET used_at = excluded.used_at`,
                params: [current.id, current.sample, now],
              },
            ]),
        { sql: "SELECT id, sample FROM used_keys WHERE used_at >= ?", params: [now - withinMs] },
      ]);
      const rows = answers.at(-1);
      return Array.isArray(rows) ? rows.map(([id, sample]) => ({ id: String(id), sample: String(sample) })) : [];
    },
  };
}

/** A hash of key ids, each with the time of its last use and its sample. */
const refreshOnRedis = `
  local time = redis.call("TIME")
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if ARGV[1] ~= "" then
    local known = redis.call("HGET", KEYS[1], ARGV[1])
    local sample = known and string.match(known, " (.*)") or ARGV[2]
    redis.call("HSET", KEYS[1], ARGV[1], string.format("%.0f %s", now, sample))
  end
  local found = {}
  local all = redis.call("HGETALL", KEYS[1])
  for i = 1, #all, 2 do
    local used_at, sample = string.match(all[i + 1], "(%d+) (.*)")
    if tonumber(used_at) >= now - ARGV[3] then
      found[#found + 1] = all[i]
      found[#found + 1] = sample
    end
  end
  return found`;

/** The used keys on a Redis server. */
export function redisUsedKeys(store: RedisStore, key = "jackfield:used-keys"): UsedKeys {
  return {
    async refresh(current, withinMs) {
      const args = [current?.id ?? "", current?.sample ?? "", withinMs];
      const answer = await store.request((client) => client.eval(refreshOnRedis, 1, key, ...args));
      const texts = Array.isArray(answer) ? answer.map(String) : [];
      return texts.flatMap((id, index) => (index % 2 === 0 ? [{ id, sample: texts[index + 1] ?? "" }] : []));
    },
  };
}

/** The used keys on a PostgreSQL server. */
export function postgresUsedKeys(store: PostgresStore): UsedKeys {
  let migrated = false;
  return {
    async refresh(current, withinMs) {
      if (!migrated) {
        await store.migrate(
          "used_keys",
          "CREATE TABLE IF NOT EXISTS jackfield.used_keys (id text PRIMARY KEY, sample text NOT NULL, used_at timestamptz NOT NULL)",
        );
        migrated = true;
      }
      if (current !== undefined) {
        await store.query(
          `INSERT INTO jackfield.used_keys VALUES ($1, $2, clock_timestamp())
            ON CONFLICT (id) DO UPDATE SET used_at = excluded.used_at`,
          [current.id, current.sample],
        );
      }
      return store.query<{ id: string; sample: string }>(
        "SELECT id, sample FROM jackfield.used_keys WHERE used_at >= clock_timestamp() - $1 * interval '1 millisecond'",
        [withinMs],
      );
    },
  };
}

/** Checks whether a key is missing that stored values may still need. */
export interface KeyCheck {
  /** Queries the store. Rejects with a StoreUnavailableError. */
  refresh(): Promise<void>;
  /** Whether a key was missing at the last query; undefined before the first answer. */
  readonly isMissing: boolean | undefined;
}

const row = "sample of a key";

/** Creates the check. The sealer notes missing keys; those in `lost` are ignored. */
export function createKeyCheck(
  keys: UsedKeys,
  sealer: Sealer,
  { lost, retentionMs }: { readonly lost: readonly string[]; readonly retentionMs: number },
): KeyCheck {
  const { keyId } = sealer;
  const current = keyId === undefined ? undefined : { id: keyId, sample: sealer.sealText("", row) };
  let isMissing: boolean | undefined;
  return {
    async refresh() {
      const used = await keys.refresh(current, retentionMs);
      // Tries all of them, so that the sealer notes each missing key.
      isMissing = used.filter(({ id, sample }) => !lost.includes(id) && !opens(sealer, sample)).length > 0;
    },
    get isMissing() {
      return isMissing;
    },
  };
}

function opens(sealer: Sealer, sample: string): boolean {
  try {
    sealer.openText(sample, row);
    return true;
  } catch {
    return false;
  }
}
