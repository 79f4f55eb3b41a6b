import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createPendingRepairs, type Repair } from "../../src/ledger/pending-repairs.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

/** Repairs of a store that is unavailable until the test ends the outage, and a record of their effects. */
function away() {
  const store = { back: false, done: [] as string[], tries: 0 };
  const repair = (name: string, outcome = false): Repair => ({
    outcome,
    run: async () => {
      store.tries += 1;
      if (!store.back) throw new Error("down");
      store.done.push(name);
    },
  });
  return { store, repair, repairs: createPendingRepairs() };
}

test("an operation that the store refuses is retried every half second, in order, until it succeeds", async () => {
  const { store, repair, repairs } = away();
  repairs.add("a", repair("a1"));
  repairs.add("b", repair("b1"));
  repairs.add("a", repair("a2"));
  expect([repairs.count, repairs.has("a"), repairs.has("b"), repairs.has("c")]).toEqual([3, true, true, false]);
  await vi.advanceTimersByTimeAsync(499);
  expect(store.tries).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  // One refusal is enough to detect that the store is unavailable.
  expect(store.tries).toBe(1);
  await vi.advanceTimersByTimeAsync(500);
  expect(store.tries).toBe(2);
  store.back = true;
  await vi.advanceTimersByTimeAsync(500);
  expect(store.done).toEqual(["a1", "a2", "b1"]);
  expect([repairs.count, repairs.has("a"), repairs.has("b")]).toEqual([0, false, false]);
  expect(vi.getTimerCount()).toBe(0);
  repairs.add("a", repair("a3"));
  await vi.advanceTimersByTimeAsync(500);
  expect(store.done).toEqual(["a1", "a2", "b1", "a3"]);
});

test("an operation that keeps failing does not hold up those of other keys, also when the list is closed", async () => {
  const { store, repair, repairs } = away();
  store.back = true;
  const locked = { run: () => Promise.reject(new Error("locked")), outcome: true };
  repairs.add("locked", locked);
  repairs.add("a", repair("a1", true));
  repairs.add("b", repair("b1", true));
  await vi.advanceTimersByTimeAsync(500);
  expect(store.done).toEqual([]);
  await vi.advanceTimersByTimeAsync(500);
  expect([store.done, repairs.outcomes, repairs.has("locked")]).toEqual([["a1", "b1"], 1, true]);
  repairs.add("c", repair("c1", true));
  await repairs.close();
  expect([store.done, repairs.outcomes]).toEqual([["a1", "b1", "c1"], 1]);
});

test("a key that is needed now is settled now, once for all requests", async () => {
  const { store, repair, repairs } = away();
  repairs.add("a", repair("a1"));
  repairs.add("b", repair("b1"));
  await expect(repairs.settle("a")).rejects.toThrow("down");
  expect([repairs.has("a"), repairs.count]).toEqual([true, 2]);
  store.back = true;
  await Promise.all([repairs.settle("a"), repairs.settle("a")]);
  expect(store.done).toEqual(["a1"]);
  expect([repairs.has("a"), repairs.count]).toEqual([false, 1]);
  await repairs.settle("unknown");
  expect(store.done).toEqual(["a1"]);
});

test("outcomes are counted separately, and all waiters are notified when none is left", async () => {
  const { store, repair, repairs } = away();
  await repairs.settled();
  repairs.add("release", repair("release"));
  expect(repairs.outcomes).toBe(0);
  await repairs.settled();
  repairs.add("a", repair("a", true));
  repairs.add("b", repair("b", true));
  expect([repairs.outcomes, repairs.count]).toEqual([2, 3]);
  let told = 0;
  for (let waiting = 0; waiting < 2; waiting += 1) void repairs.settled().then(() => (told += 1));
  store.back = true;
  await repairs.settle("a");
  await Promise.resolve();
  expect([repairs.outcomes, told]).toEqual([1, 0]);
  await repairs.settle("b");
  await Promise.resolve();
  expect([repairs.outcomes, told, repairs.count]).toEqual([0, 2, 1]);
});

test("closing tries everything once more and then stops", async () => {
  const { store, repair, repairs } = away();
  repairs.add("a", repair("a"));
  await repairs.close();
  expect([store.tries, vi.getTimerCount()]).toEqual([1, 0]);
  repairs.add("b", repair("b"));
  await vi.advanceTimersByTimeAsync(5_000);
  expect([store.tries, vi.getTimerCount()]).toEqual([1, 0]);

  const other = away();
  other.repairs.add("a", other.repair("a"));
  other.store.back = true;
  await other.repairs.close();
  expect([other.store.done, other.repairs.count]).toEqual([["a"], 0]);
});
