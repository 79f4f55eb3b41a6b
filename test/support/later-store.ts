import type { SqliteStore } from "../../src/store/sqlite.ts";

/** The same store, so many milliseconds later: runs that could still be going on have ended. */
export function laterStore(store: SqliteStore, ms = 600_000): SqliteStore {
  return { ...store, now: () => store.now() + ms };
}
