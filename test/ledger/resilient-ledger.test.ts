import { expect, test, vi } from "vitest";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { createMemoryLedger } from "../../src/ledger/drivers/memory.ts";
import { LedgerUnavailableError } from "../../src/ledger/ledger.ts";
import { StoreUnavailableError } from "../../src/store/store-errors.ts";
import { faulty } from "./faulty.ts";
import { aResult, anIntent, beginNew } from "./samples.ts";
import { lateCommit } from "./late-commit.ts";

/** A store that does not answer requests that acquire entries, and undoes nothing, until the test allows it. */
function undoing() {
  const store = { answers: false, undoes: false, asked: [] as string[] };
  const { ledger } = faulty((works) => {
    const asked = <A extends unknown[], R>(name: string, method: (...args: A) => Promise<R>) =>
      ((...args: A) => {
        store.asked.push(name);
        return store.answers ? method(...args) : Promise.reject(new StoreUnavailableError("no answer"));
      }) as typeof method;
    return {
      begin: asked("begin", works.begin),
      recover: asked("recover", works.recover),
      release: (...args) =>
        store.undoes ? works.release(...args) : Promise.reject(new StoreUnavailableError("cannot be undone")),
    };
  });
  return { ledger, store, undo: () => (store.undoes = true) };
}

test("an intent that is committed after its caller was refused does not make the next caller wait", async () => {
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

test("an intent that was committed late is not a conflict for other arguments", async () => {
  const { ledger, commit } = lateCommit();
  const intent = anIntent();
  await expect(ledger.begin(intent)).rejects.toThrow(LedgerUnavailableError);
  await commit();
  expect((await ledger.begin({ ...intent, digest: "digest-2" })).state).toBe("new");
});

test("an intent that was committed late, and is not requested again, is released", async () => {
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

test("outcomes that could not be stored are stored when the store is back, in their order", async () => {
  let down = true;
  const { ledger, lines } = faulty((store) => ({
    finish: (...outcome) => {
      if (down) return Promise.reject(new StoreUnavailableError("down"));
      return store.finish(...outcome);
    },
  }));
  const [one, two] = [anIntent(), anIntent()];
  expect(await ledger.finish(await beginNew(ledger, one), aResult("1"), "replay")).toMatchObject({ state: "deferred" });
  expect(await ledger.finish(await beginNew(ledger, two), aResult("2"), "drop")).toMatchObject({ state: "deferred" });
  expect(ledger.pendingOutcomes).toBe(2);
  const message = "error the outcome of a call could not be stored; it will be tried again";
  expect(lines).toHaveLength(2);
  for (const line of lines) expect(line).toMatch(new RegExp(`^${message} .*"tool":"${one.tool}"`));
  // A repeat meanwhile does not run: the store still has the intent.
  await expect(ledger.begin(one)).rejects.toThrow(LedgerUnavailableError);
  down = false;
  await ledger.settled();
  expect(ledger.pendingOutcomes).toBe(0);
  expect((await ledger.find(one.key))?.result?.output).toBe("1");
  expect(await ledger.find(two.key)).toBeUndefined();
});

test("a release that failed is repeated when the store is back", async () => {
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

test("if too many outcomes are waiting, no further intent is accepted", async () => {
  const { ledger } = faulty(() => ({ finish: () => Promise.reject(new StoreUnavailableError("read-only")) }));
  for (let count = 0; count < 10_000; count++)
    await ledger.finish(await beginNew(ledger, anIntent()), aResult(), "replay");
  await expect(ledger.begin(anIntent())).rejects.toThrow("too many outcomes wait for the store");
});

test("a claim of another ledger is refused", async () => {
  const claim = await beginNew(createMemoryLedger(), anIntent());
  const other = createMemoryLedger();
  const refusal = new TypeError("the claim was not issued by this ledger");
  await expect(other.finish({ ...claim }, aResult(), "replay")).rejects.toThrow(refusal);
});

test("an attempt that certainly did not reach the store is not undone later, and any other is", async () => {
  const released: unknown[] = [];
  let untouched = true;
  const { ledger } = faulty(() => ({
    begin: () => Promise.reject(new StoreUnavailableError("down", { untouched })),
    recover: () => Promise.reject(new StoreUnavailableError("down", { untouched })),
    release: async (attempt, key) => void released.push([attempt, key]),
  }));
  const [one, two] = [anIntent(), anIntent()];
  await expect(ledger.begin(one)).rejects.toThrow(new LedgerUnavailableError("down"));
  await expect(ledger.recover(1)).rejects.toThrow(LedgerUnavailableError);
  untouched = false;
  await expect(ledger.begin(two)).rejects.toThrow(LedgerUnavailableError);
  await expect(ledger.recover(1)).rejects.toThrow(LedgerUnavailableError);
  await ledger.close();
  expect(released).toEqual([
    [3, two.key],
    [4, undefined],
  ]);
});

test("the next attempt for a key, or a recovery, waits for pending undo operations", async () => {
  const { ledger, store, undo } = undoing();
  const intent = anIntent();
  await expect(ledger.begin(intent)).rejects.toThrow("no answer");
  await expect(ledger.recover(5)).rejects.toThrow("no answer");
  store.answers = true;
  await expect(ledger.begin(intent)).rejects.toThrow(new LedgerUnavailableError("cannot be undone"));
  await expect(ledger.recover(5)).rejects.toThrow(new LedgerUnavailableError("cannot be undone"));
  expect(store.asked).toEqual(["begin", "recover"]);
  undo();
  expect((await ledger.begin(intent)).state).toBe("new");
  expect(await ledger.recover(5)).toEqual([]);
});

test("an outcome waits for pending operations on its entry", async () => {
  let down = true;
  const order: string[] = [];
  const { ledger } = faulty((store) => ({
    finish: async (claim, result, retention) => {
      if (down) throw new StoreUnavailableError("down");
      order.push(`${result.state} ${retention}`);
      return await store.finish(claim, result, retention);
    },
  }));
  const intent = anIntent();
  const claim = await beginNew(ledger, intent);
  const first = await ledger.finish(claim, aResult("?", Outcome.UNCERTAIN), "replay");
  down = false;
  expect(await ledger.finish(claim, aResult("known"), "replay")).toEqual({ state: "stored" });
  expect(order).toEqual(["2 replay", "1 replay"]);
  expect(first).toMatchObject({ state: "deferred" });
  expect(await (first.state === "deferred" ? first.recorded : undefined)).toEqual({ state: "stored" });
  expect(ledger.pendingOutcomes).toBe(0);
});

test("a release after the outcome, or a second one, does nothing", async () => {
  const released: unknown[] = [];
  const { ledger } = faulty((store) => ({
    release: async (...what) => {
      released.push(what);
      await store.release(...what);
    },
  }));
  const [ended, given] = [anIntent(), anIntent()];
  const claim = await beginNew(ledger, ended);
  await ledger.finish(claim, aResult(), "replay");
  await ledger.release(claim);
  const back = await beginNew(ledger, given);
  await ledger.release(back);
  await ledger.release(back);
  expect(released).toEqual([[2, given.key]]);
});

test("a run may send requests for its time and two seconds, one that was taken over for twice its time", async () => {
  let now = 500;
  const { ledger, server } = faulty(() => ({}), { monotonic: () => now });
  const [own, abandoned, recovered] = ["idempotent", "idempotent", "idempotent"].map(() =>
    anIntent({ effect: "idempotent", timeoutMs: 1_000 }),
  );
  const dying = createMemoryLedger({ server });
  for (const intent of [abandoned, recovered]) await beginNew(dying, intent!);
  await dying.close();
  expect((await beginNew(ledger, own!)).sendUntil).toBe(500 + 1_000 + 2_000);
  now = 600;
  const begun = await ledger.begin(abandoned!);
  const taken = "claim" in begun ? begun.claim : undefined;
  expect(taken?.sendUntil).toBe(600 + 2_000 + 2_000);
  const [call] = await ledger.recover(1);
  expect(call?.claim).toMatchObject({ key: recovered!.key, sendUntil: 600 + 2_000 + 2_000 });
  now = 700;
  const restarted = await ledger.restart(taken!, 3_000);
  expect(restarted).toMatchObject({
    state: "restarted",
    claim: { key: abandoned!.key, sendUntil: 700 + 3_000 + 2_000 },
  });
});

test("an operation that the store cannot execute now is unavailable, with its reason", async () => {
  const down = (): Promise<never> => Promise.reject(new StoreUnavailableError("the disk is full"));
  const odd = (): Promise<never> => Promise.reject("no error at all");
  const { ledger } = faulty(() => ({ find: down, erase: down, ping: odd, running: down, restart: down }));
  const unavailable = new LedgerUnavailableError("the disk is full");
  await expect(ledger.find("key")).rejects.toThrow(unavailable);
  await expect(ledger.erase({ tenant: "t", runId: "r" })).rejects.toThrow(unavailable);
  await expect(ledger.recover(1)).rejects.toThrow(unavailable);
  const claim = await beginNew(ledger, anIntent());
  await expect(ledger.restart(claim, 1)).rejects.toThrow(unavailable);
  await expect(ledger.ping()).rejects.toThrow(new LedgerUnavailableError("no error at all"));
});

test("it has the notes of its store, or none", async () => {
  expect(faulty(() => ({ notes: () => ["clocks differ"] })).ledger.notes()).toEqual(["clocks differ"]);
  expect(faulty(() => ({})).ledger.notes()).toEqual([]);
});
