import type { PostgresStore } from "../../store/postgres.ts";
import { StoreUnavailableError } from "../../store/store-errors.ts";
import type { RegisteredTools } from "../registered-tools.ts";

const schema = `
CREATE SCHEMA IF NOT EXISTS jackfield;
CREATE TABLE IF NOT EXISTS jackfield.registered_tools (name text PRIMARY KEY, text text NOT NULL);
CREATE TABLE IF NOT EXISTS jackfield.registered_version (id smallint PRIMARY KEY CHECK (id = 1), version bigint NOT NULL);
INSERT INTO jackfield.registered_version VALUES (1, 0) ON CONFLICT DO NOTHING`;

// The version's row is locked first, so that version numbers follow the order in which changes become visible.
const counted =
  "WITH counted AS (UPDATE jackfield.registered_version SET version = version + 1 WHERE id = 1 RETURNING version)";

const statements = {
  load: `SELECT v.version::text AS version, t.name AS key, t.text FROM jackfield.registered_version v
    LEFT JOIN jackfield.registered_tools t ON true WHERE v.version::text <> $1 ORDER BY t.name`,
  save: `${counted} INSERT INTO jackfield.registered_tools SELECT $1, $2 FROM counted
    ON CONFLICT (name) DO UPDATE SET text = excluded.text`,
  replace: `${counted} UPDATE jackfield.registered_tools t SET text = $2 FROM counted WHERE name = $1 AND t.text = $3`,
  remove: `${counted} DELETE FROM jackfield.registered_tools USING counted WHERE name = $1`,
};

/** Registered tools on a PostgreSQL server, shared by replicas: one table, and a counter of changes. */
export function createPostgresRegisteredTools(store: PostgresStore): RegisteredTools {
  let migrated: Promise<void> | undefined;

  async function run<Row extends object>(statement: string, ...values: string[]): Promise<Row[]> {
    migrated ??= store.migrate("registered_tools", schema);
    try {
      await migrated;
    } catch (cause) {
      migrated = undefined;
      throw new StoreUnavailableError(cause instanceof Error ? cause.message : String(cause), {
        untouched: true,
        cause,
      });
    }
    return await store.query<Row>(statement, values);
  }

  return {
    shared: true,
    async load(known = "") {
      const rows = await run<{ version: string; key: string | null; text: string | null }>(statements.load, known);
      const [first] = rows;
      if (first === undefined) return undefined;
      const tools = rows.flatMap(({ key, text }) => (key === null || text === null ? [] : [{ key, text }]));
      return { version: first.version, tools };
    },
    async save({ key, text }) {
      await run(statements.save, key, text);
    },
    async replace({ key, text }, before) {
      await run(statements.replace, key, text, before);
    },
    async remove(key) {
      await run(statements.remove, key);
    },
    close: async () => {},
  };
}
