import { randomBytes } from "node:crypto";
import { createMemoryLedger, createMemoryLedgerServer } from "../../src/ledger/drivers/memory.ts";
import { createSqliteLedger } from "../../src/ledger/drivers/sqlite.ts";
import { createSealer } from "../../src/store/sealer.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { ledgerConformance } from "./conformance.ts";

for (const sealed of [{}, { sealer: createSealer([{ id: "one", secret: randomBytes(32) }]) }]) {
  const how = "sealer" in sealed ? ", encrypted" : "";

  ledgerConformance(`the ledger in memory${how}`, async () => {
    const server = createMemoryLedgerServer();
    return {
      open: async () => createMemoryLedger({ ...sealed, server }),
      die: (ledger) => ledger.close(),
      lose: async (key) => void server.entries.delete(key),
      close: async () => {},
    };
  });

  ledgerConformance(
    `the ledger in SQLite${how}`,
    async () => {
      const folder = scratchFolder();
      const store = await openSqliteStore({ folder: folder.path });
      return {
        open: async () => createSqliteLedger(store, sealed),
        die: (ledger) => ledger.close(),
        lose: async (key) => void (await store.run([{ sql: "DELETE FROM entries WHERE key = ?", params: [key] }])),
        close: async () => {
          await store.close();
          folder[Symbol.dispose]();
        },
      };
    },
    // One process at a time opens the file.
    { replicas: false },
  );
}
