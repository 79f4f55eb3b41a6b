import { createSqliteJobQueue } from "../../src/jobs/drivers/sqlite.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { jobConformance } from "./conformance.ts";

jobConformance("the job queue in SQLite", async () => {
  const folder = scratchFolder();
  const store = await openSqliteStore({ folder: folder.path });
  return {
    open: async (log) => createSqliteJobQueue(store, { log }),
    die: (_queue, working) => working.stop(AbortSignal.abort()),
    corrupt: async (id) => void (await store.run([{ sql: "UPDATE jobs SET record = '{' WHERE id = ?", params: [id] }])),
    lose: async (id) => void (await store.run([{ sql: "DELETE FROM jobs WHERE id = ?", params: [id] }])),
    close: async () => {
      await store.close();
      folder[Symbol.dispose]();
    },
  };
});
