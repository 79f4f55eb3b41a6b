import { expect, test, vi } from "vitest";
import { createMemoryLedger } from "../../src/ledger/drivers/memory.ts";
import { LedgerUnavailableError } from "../../src/ledger/ledger.ts";
import { StoreUnavailableError } from "../../src/store/store-errors.ts";
import { faulty } from "./faulty.ts";
import { aResult, anIntent, beginNew } from "./samples.ts";

/** A store whose first `begin` is committed only when `commit` is called, long after its caller has given up. */
function lateCommit() {
  let commit: (() => Promise<unknown>) | undefined;
  const tried = faulty((store) => ({
    begin: (intent, attempt) => {
      if (commit !== undefined) return store.begin(intent, attempt);
      commit = () => store.begin(intent, attempt);
      return Promise.reject(new StoreUnavailableError("no answer"));
    },
  }));
  return { ...tried, commit: async () => await commit?.() };
}

test("an intent whose commit comes after its caller was refused is not waited for by the next caller", async () => {
  const { ledger, commit } = lateCommit();
  const intent = anIntent();
  await expect(ledger.begin(intent)).rejects.toThrow(LedgerUnavailableError);
  // The repair finds nothing to release yet.
  await ledger.recover(10);
  await vi.waitFor(async () => expect(await ledger.find(intent.key)).toBeUndefined());
  await commit();
  expect((await ledger.find(intent.key))?.state).toBe("running");
  expect((await ledger.begin(intent)).state).toBe("new");
  expect((await ledger.begin(intent)).state).toBe("running");
});

test("an intent whose commit came late is not a conflict for other arguments", async () => {
  const { ledger, commit } = lateCommit();
  const intent = anIntent();
  await expect(ledger.begin(intent)).rejects.toThrow(LedgerUnavailableError);
  await commit();
  expect((await ledger.begin({ ...intent, digest: "digest-2" })).state).toBe("new");
});

test("an intent whose commit came late, and that nobody asks for again, is given back", async () => {
  const { ledger, commit, pass } = lateCommit();
  const intent = anIntent();
  await expect(ledger.begin(intent)).rejects.toThrow(LedgerUnavailableError);
  await commit();
  const running = anIntent();
  await beginNew(ledger, running);
  pass(60_000);
  expect(await ledger.recover(10)).toEqual([]);
  expect(await ledger.find(intent.key)).toBeUndefined();
  expect((await ledger.find(running.key))?.state).toBe("running");
});

test("outcomes that could not be stored are stored when the store is back, in the order in which they came", async () => {
  let down = true;
  const { ledger } = faulty((store) => ({
    finish: (...outcome) => {
      if (down) return Promise.reject(new StoreUnavailableError("down"));
      return store.finish(...outcome);
    },
  }));
  const [one, two] = [anIntent(), anIntent()];
  expect(await ledger.finish(await beginNew(ledger, one), aResult("1"), "replay")).toMatchObject({ state: "deferred" });
  expect(await ledger.finish(await beginNew(ledger, two), aResult("2"), "drop")).toMatchObject({ state: "deferred" });
  expect(ledger.pendingOutcomes).toBe(2);
  // A repeat meanwhile does not run: the store still has the intent.
  await expect(ledger.begin(one)).rejects.toThrow(LedgerUnavailableError);
  down = false;
  await ledger.settled();
  expect(ledger.pendingOutcomes).toBe(0);
  expect((await ledger.find(one.key))?.result?.output).toBe("1");
  expect(await ledger.find(two.key)).toBeUndefined();
});

test("a release that could not be made is made when the store is back", async () => {
  let down = true;
  const { ledger } = faulty((store) => ({
    release: (...released) => {
      if (down) return Promise.reject(new StoreUnavailableError("down"));
      return store.release(...released);
    },
  }));
  const intent = anIntent();
  await ledger.release(await beginNew(ledger, intent));
  expect((await ledger.find(intent.key))?.state).toBe("running");
  down = false;
  await vi.waitFor(async () => expect(await ledger.find(intent.key)).toBeUndefined(), 5_000);
});

test("with too many outcomes waiting, no further intent is taken", async () => {
  const { ledger } = faulty(() => ({ finish: () => Promise.reject(new StoreUnavailableError("read-only")) }));
  for (let count = 0; count < 10_000; count++)
    await ledger.finish(await beginNew(ledger, anIntent()), aResult(), "replay");
  await expect(ledger.begin(anIntent())).rejects.toThrow("too many outcomes wait for the store");
});

test("a claim of another ledger is refused", async () => {
  const claim = await beginNew(createMemoryLedger(), anIntent());
  const other = createMemoryLedger();
  await expect(other.finish({ ...claim }, aResult(), "replay")).rejects.toThrow(TypeError);
});
