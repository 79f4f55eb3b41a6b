import { createSqliteJobQueue } from "../../src/jobs/drivers/sqlite.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { jobConformance } from "./conformance.ts";

jobConformance("the job queue in SQLite", async () => {
  const folder = scratchFolder();
  const store = await openSqliteStore({ folder: folder.path });
  return {
    open: async () => createSqliteJobQueue(store),
    die: (_queue, working) => working.stop(AbortSignal.abort()),
    close: async () => {
      await store.close();
      folder[Symbol.dispose]();
    },
  };
});
