import { randomBytes } from "node:crypto";
import { createSqliteJobQueue } from "../../src/jobs/drivers/sqlite.ts";
import type { SqlValue } from "../../src/store/sqlite-protocol.ts";
import { createSealer } from "../../src/store/sealer.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { jobConformance } from "./conformance.ts";

for (const sealer of [undefined, createSealer([{ id: "one", secret: randomBytes(32) }])]) {
  jobConformance(`the job queue in SQLite${sealer === undefined ? "" : ", encrypted"}`, async () => {
    const folder = scratchFolder();
    const store = await openSqliteStore({ folder: folder.path });
    return {
      open: async (log) => createSqliteJobQueue(store, { log, ...(sealer !== undefined && { sealer }) }),
      die: (_queue, working) => working.stop(AbortSignal.abort()),
      corrupt: async (id) =>
        void (await store.run([{ sql: "UPDATE jobs SET record = '{' WHERE id = ?", params: [id] }])),
      stored: async (id) => {
        const [found] = await store.run([{ sql: "SELECT record FROM jobs WHERE id = ?", params: [id] }]);
        return String((found as SqlValue[][])[0]?.[0]);
      },
      close: async () => {
        await store.close();
        folder[Symbol.dispose]();
      },
    };
  });
}
