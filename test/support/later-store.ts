import type { SqliteStore } from "../../src/store/sqlite.ts";

/** Returns the same store with a clock that is ahead: all runs must have ended. */
export function laterStore(store: SqliteStore, ms = 600_000): SqliteStore {
  return { ...store, now: () => store.now() + ms };
}
