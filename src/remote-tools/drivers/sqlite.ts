import type { SqliteStore } from "../../store/sqlite.ts";
import type { RegisteredTools } from "../registered-tools.ts";

/** Registered tools in the embedded store, to which only this process writes. */
export function createSqliteRegisteredTools(store: SqliteStore): RegisteredTools {
  let version = 0;
  return {
    shared: false,
    async load(known) {
      const at = String(version);
      if (known === at) return undefined;
      const [rows] = await store.run([{ sql: "SELECT name, text FROM registered_tools ORDER BY name" }]);
      const found = Array.isArray(rows) ? rows : [];
      return { version: at, tools: found.map(([key, text]) => ({ key: String(key), text: String(text) })) };
    },
    async save({ key, text }) {
      await store.run([
        {
          sql: "INSERT INTO registered_tools (name, text) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET text = excluded.text",
          params: [key, text],
        },
      ]);
      version++;
    },
    async replace({ key, text }, before) {
      const sql = "UPDATE registered_tools SET text = ? WHERE name = ? AND text = ?";
      const [changed] = await store.run([{ sql, params: [text, key, before] }]);
      if (changed === 1) version++;
    },
    async remove(key) {
      await store.run([{ sql: "DELETE FROM registered_tools WHERE name = ?", params: [key] }]);
      version++;
    },
    close: async () => {},
  };
}
