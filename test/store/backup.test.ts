import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { expect, onTestFinished, test } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { isGuardEntry } from "../../src/executor/stages/guard-repeats.ts";
import { createSqliteJobQueue } from "../../src/jobs/drivers/sqlite.ts";
import { createSqliteLedger } from "../../src/ledger/drivers/sqlite.ts";
import { openSqliteStore, type SqliteStore } from "../../src/store/sqlite.ts";
import { aResult, anIntent, beginNew } from "../ledger/samples.ts";
import { aRecord } from "../jobs/samples.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

const day = 86_400_000;
const wall = Date.UTC(2026, 10, 1);

/** Fills a store, makes a backup, and restores it after the service has run for another eight days. */
async function restored(fill: (store: SqliteStore) => Promise<void>): Promise<SqliteStore> {
  const folder = scratchFolder();
  onTestFinished(() => folder[Symbol.dispose]());
  const path = join(folder.path, "jackfield.db");
  const openAfter = (ms: number) =>
    openSqliteStore({ folder: folder.path, wall: () => wall + ms, boot: { id: "boot", uptimeMs: () => 1_000 + ms } });
  const first = await openAfter(0);
  await fill(first);
  const reader = new DatabaseSync(path);
  reader.exec(`VACUUM INTO '${path}.backup'`);
  reader.close();
  await first.close();
  await (await openAfter(8 * day)).close();
  for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix, { force: true });
  copyFileSync(`${path}.backup`, path);
  const store = await openAfter(8 * day);
  onTestFinished(() => store.close());
  return store;
}

test("the open jobs of a backup are dead letters from the restore on, and say why", async () => {
  const record = aRecord();
  const store = await restored(async (first) => void (await createSqliteJobQueue(first).enqueue(record)));
  const queue = createSqliteJobQueue(store);
  expect(await queue.erase({ olderThanMs: day, deadOlderThanMs: 7 * day })).toBe(0);
  const dead = await queue.get(record.job.id);
  expect(dead?.job).toMatchObject({
    state: JobState.DEAD,
    error: "the store was restored from a backup: this job may have been executed since",
  });
  expect(timestampMs(dead!.job.updateTime!)).toBeGreaterThanOrEqual(wall + 8 * day);
  expect(await queue.retry(record.job.id)).toMatchObject({ job: { state: JobState.ACCEPTED, error: "" } });
  expect((await queue.get(record.job.id))?.job.error).toBe("");
});

test("the calls that were running in a backup are UNCERTAIN and do not run again, those that had ended keep their answers", async () => {
  const [running, ended] = [anIntent({ effect: "idempotent", runId: "run-1" }), anIntent()];
  const store = await restored(async (first) => {
    const ledger = createSqliteLedger(first);
    await beginNew(ledger, running);
    await ledger.finish(await beginNew(ledger, ended), aResult("booked"), "replay");
  });
  const ledger = createSqliteLedger(store);
  expect(await ledger.recover(10)).toEqual([]);
  expect(await ledger.begin(running)).toMatchObject({
    state: "ended",
    entry: { state: "uncertain", result: { outcome: Outcome.UNCERTAIN, callId: running.callId } },
  });
  expect(await ledger.begin(ended)).toMatchObject({ state: "ended", entry: { result: { output: "booked" } } });
  expect(await ledger.erase({ olderThanMs: 9 * day, uncertainOlderThanMs: day })).toBe(0);
  expect(await ledger.erase({ tenant: "default", runId: "run-1" })).toBe(1);
});

test("an entry of the repeat guard in a backup ends like the call that it stands for", async () => {
  const call = anIntent();
  const store = await restored(async (first) => {
    await beginNew(createSqliteLedger(first), { ...call, key: `repeat ${call.key}` });
  });
  const [taken] = await createSqliteLedger(store).recover(10);
  expect(isGuardEntry(taken!.entry)).toBe(true);
});
