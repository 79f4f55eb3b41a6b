import { createMemoryLedger } from "../../src/ledger/drivers/memory.ts";
import { createSqliteLedger } from "../../src/ledger/drivers/sqlite.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { ledgerConformance } from "./conformance.ts";

ledgerConformance(
  "the ledger in memory",
  async () => ({ open: async () => createMemoryLedger(), die: (ledger) => ledger.close(), close: async () => {} }),
  { skips: { replicas: "each ledger has a memory of its own", takeOver: "a ledger in memory dies with its owner" } },
);

ledgerConformance(
  "the ledger in SQLite",
  async () => {
    const folder = scratchFolder();
    const store = await openSqliteStore({ folder: folder.path });
    return {
      open: async () => createSqliteLedger(store),
      die: (ledger) => ledger.close(),
      close: async () => {
        await store.close();
        folder[Symbol.dispose]();
      },
    };
  },
  { skips: { replicas: "one process has the file at a time" } },
);
