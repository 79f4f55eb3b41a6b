import { onTestFinished, test } from "vitest";
import { createSqliteJobQueue } from "../../src/jobs/drivers/sqlite.ts";
import { openSqliteStore, type SqliteStore } from "../../src/store/sqlite.ts";
import { StoreUnavailableError } from "../../src/store/store-errors.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { expectLostClaimsReleased } from "./lost-claims.ts";

test("jobs whose claim was executed but not answered are released, and processed in their order", async () => {
  const folder = scratchFolder();
  const store = await openSqliteStore({ folder: folder.path });
  let answers = false;
  const run: SqliteStore["run"] = async (steps) => {
    const results = await store.run(steps);
    const claims = steps.some(({ sql }) => sql.startsWith("UPDATE jobs SET token"));
    if (claims && !answers) throw new StoreUnavailableError("no answer");
    return results;
  };
  const queue = createSqliteJobQueue({ ...store, run });
  onTestFinished(async () => {
    await queue.close();
    await store.close();
    folder[Symbol.dispose]();
  });
  await expectLostClaimsReleased(queue, () => (answers = true));
});
