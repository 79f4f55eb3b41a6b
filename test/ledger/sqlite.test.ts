import { expect, onTestFinished, test } from "vitest";
import { sql } from "../../src/ledger/drivers/sqlite-statements.ts";
import { createSqliteLedger } from "../../src/ledger/drivers/sqlite.ts";
import { openSqliteStore, type SqliteStore } from "../../src/store/sqlite.ts";
import { StoreUnavailableError } from "../../src/store/store-errors.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import {
  committedLate,
  firstRequest,
  type OpenWith,
  provesLateIntentsAreNobodys,
  provesLostEntriesAreNotOverwritten,
  provesUnansweredRecoveriesAreUndone,
} from "./late.ts";
import { aResult, anIntent, beginNew } from "./samples.ts";

/** A store of the test. */
async function aStore(): Promise<SqliteStore> {
  const folder = scratchFolder();
  const store = await openSqliteStore({ folder: folder.path });
  onTestFinished(async () => {
    await store.close();
    folder[Symbol.dispose]();
  });
  return store;
}

test("an intent that was committed late belongs to nobody: the next caller runs it, with any arguments", async () => {
  await provesLateIntentsAreNobodys(async () => {
    const store = await aStore();
    const { method: run, commit } = committedLate(store.run);
    return { ledger: createSqliteLedger({ ...store, run }), commit };
  });
});

/** Two ledgers on a store of the test. */
const open: OpenWith = async (kind, act) => {
  const store = await aStore();
  const run = firstRequest(store.run, ([step]) => step?.sql === sql[kind], act);
  const [ledger, other] = [createSqliteLedger({ ...store, run }), createSqliteLedger(store)];
  const lose = (key: string) => store.run([{ sql: "DELETE FROM entries WHERE key = ?", params: [key] }]);
  return { ledger, other, lose };
};

test("a lost entry that another owner begins concurrently belongs to that owner", async () => {
  await provesLostEntriesAreNotOverwritten(open);
});

test("calls whose recovery was executed but not answered are recovered by the next", async () => {
  await provesUnansweredRecoveriesAreUndone(open);
});

test("running calls of another owner are not abandoned here", async () => {
  const store = await aStore();
  const [first, second] = [createSqliteLedger(store), createSqliteLedger(store)];
  const intent = anIntent({ timeoutMs: 60_000 });
  await beginNew(first, intent);
  // The same attempt number, by another owner.
  expect((await second.begin(intent)).state).toBe("running");
  expect((await second.begin({ ...intent, digest: "other" })).state).toBe("conflict");
  expect(await second.recover(10)).toEqual([]);
  expect((await first.find(intent.key))?.state).toBe("running");
});

test("more than a portion of old entries is deleted by one request", async () => {
  const ledger = createSqliteLedger(await aStore());
  const intents = Array.from({ length: 501 }, () => anIntent());
  await Promise.all(
    intents.map(async (intent) => await ledger.finish(await beginNew(ledger, intent), aResult(), "replay")),
  );
  expect(await ledger.erase({ olderThanMs: 0, uncertainOlderThanMs: 0 })).toBe(501);
  expect(await ledger.find(intents[0]!.key)).toBeUndefined();
});

test("it can take no intent while its store cannot", async () => {
  const store = await aStore();
  const ping = (): Promise<never> => Promise.reject(new StoreUnavailableError("the disk is full"));
  await expect(createSqliteLedger(store).ping()).resolves.toBeUndefined();
  await expect(createSqliteLedger({ ...store, ping }).ping()).rejects.toThrow("the disk is full");
});
