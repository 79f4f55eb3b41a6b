import { expect, onTestFinished, test } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { createSqliteJobQueue } from "../../src/jobs/drivers/sqlite.ts";
import { openSqliteStore, type SqliteStore } from "../../src/store/sqlite.ts";
import { StoreUnavailableError } from "../../src/store/store-errors.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { aRecord } from "./samples.ts";

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
  const records = Array.from({ length: 5 }, () => aRecord());
  for (const record of records) await queue.enqueue(record);
  const ids: string[] = [];
  queue.work(
    async (record) => {
      ids.push(record.job.id);
      return { kind: "ended", record: { ...record, job: { ...record.job, state: JobState.DONE } } };
    },
    { concurrency: 5 },
  );
  const stateOf = async (): Promise<JobState | undefined> => (await queue.get(records[0]!.job.id))?.job.state;
  await expect.poll(stateOf).toBe(JobState.EXECUTING);
  expect(ids).toEqual([]);
  answers = true;
  await expect.poll(() => ids, { timeout: 5_000 }).toEqual(records.map(({ job }) => job.id));
});
