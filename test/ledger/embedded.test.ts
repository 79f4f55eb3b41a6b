import { createMemoryLedger, createMemoryLedgerServer } from "../../src/ledger/drivers/memory.ts";
import { createSqliteLedger } from "../../src/ledger/drivers/sqlite.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { ledgerConformance } from "./conformance.ts";

ledgerConformance("the ledger in memory", async () => {
  const server = createMemoryLedgerServer();
  return {
    open: async () => createMemoryLedger({ server }),
    die: (ledger) => ledger.close(),
    lose: async (key) => void server.entries.delete(key),
    close: async () => {},
  };
});

ledgerConformance(
  "the ledger in SQLite",
  async () => {
    const folder = scratchFolder();
    const store = await openSqliteStore({ folder: folder.path });
    return {
      open: async () => createSqliteLedger(store),
      die: (ledger) => ledger.close(),
      lose: async (key) => void (await store.run([{ sql: "DELETE FROM entries WHERE key = ?", params: [key] }])),
      close: async () => {
        await store.close();
        folder[Symbol.dispose]();
      },
    };
  },
  // One process has the file at a time.
  { replicas: false },
);
