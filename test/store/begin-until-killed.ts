// A process that stores intents, and prints each key when it is acknowledged, until it is killed.
import { createSqliteLedger } from "../../src/ledger/drivers/sqlite.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";

const [folder = ""] = process.argv.slice(2);
const store = await openSqliteStore({ folder });
const ledger = createSqliteLedger(store);
const scope = { tenant: "default", source: "test", conversationId: "c", sessionId: "", runId: "" };
let count = 0;
await Promise.all(
  Array.from({ length: 16 }, async () => {
    for (;;) {
      const key = `key-${(count += 1)}`;
      await ledger.begin({
        key,
        digest: "d",
        callId: key,
        tool: "t",
        effect: "idempotent",
        argumentsJson: "{}",
        scope,
        timeoutMs: 0,
      });
      process.stdout.write(`${key}\n`);
    }
  }),
);
