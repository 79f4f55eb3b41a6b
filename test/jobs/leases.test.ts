import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { JobRow, JobTable } from "../../src/jobs/job-table.ts";
import { createLeases } from "../../src/jobs/leases.ts";
import { aHeldRow, aLog, aTable, codec } from "./stored-job.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance", "setInterval", "clearInterval"] }));
afterEach(() => void vi.useRealTimers());

/** The leases of a worker: 900 ms each, unless it owns the table. */
function aWorkers({ leaseMs = 900, ...replaced }: Partial<JobTable> & { leaseMs?: number } = {}) {
  const { table, rows, requests } = aTable(leaseMs, replaced);
  const stop = new AbortController();
  const leases = createLeases({ table, owner: "me", codec, log: aLog() }, stop.signal);
  const hold = (id: string) => {
    const row = aHeldRow(id, leases.newToken());
    rows.set(id, row);
    return leases.hold(row, codec.read(row));
  };
  const requestsOf = (name: string): unknown[] => requests.filter(([first]) => first === name).map(([, what]) => what);
  return { leases, rows, requests, requestsOf, hold, stop };
}

/** Reports whether the last claim included expired rows. */
const expiredAsked = (claims: unknown[]): boolean => (claims.at(-1) as { expired: boolean }).expired;

describe("leases", () => {
  test("are extended together three times in their duration, until they are settled", async () => {
    const { requestsOf, hold, requests } = aWorkers();
    await vi.advanceTimersByTimeAsync(300);
    expect(requests).toEqual([]);
    const [one, two] = [hold("one"), hold("two")];
    await vi.advanceTimersByTimeAsync(299);
    expect(requestsOf("extend")).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(requestsOf("extend")).toEqual([
      [
        { id: "one", token: "me.1" },
        { id: "two", token: "me.2" },
      ],
    ]);
    await vi.advanceTimersByTimeAsync(899);
    expect([one.valid(), two.valid()]).toEqual([true, true]);
    await one.settle(undefined, { state: one.row.state, next: 0 }, new AbortController().signal);
    await vi.advanceTimersByTimeAsync(300);
    expect(requestsOf("extend").at(-1)).toEqual([{ id: "two", token: "me.2" }]);
  });

  test("count from the time when their extension was requested, and expire if the store does not answer", async () => {
    const first = Promise.withResolvers<string[]>();
    let answer = (): Promise<string[]> => first.promise;
    const requestsOf: number[] = [];
    const { hold } = aWorkers({ extend: (leases) => (requestsOf.push(leases.length), answer()) });
    const lease = hold("one");
    await vi.advanceTimersByTimeAsync(700);
    // The first request has no answer yet: no second one is sent.
    expect(requestsOf).toEqual([1]);
    first.resolve(["one"]);
    await vi.advanceTimersByTimeAsync(100);
    answer = () => Promise.reject(new Error("down"));
    await vi.advanceTimersByTimeAsync(399);
    expect(lease.valid()).toBe(true);
    await vi.advanceTimersByTimeAsync(1);
    expect(lease.valid()).toBe(false);
    expect(lease.signal.aborted).toBe(false);
    answer = async () => ["one"];
    await vi.advanceTimersByTimeAsync(300);
    expect(lease.valid()).toBe(true);
  });

  test("that the store does not extend are lost if another worker has the job, but not if the row was lost", async () => {
    const restored: string[] = [];
    const { hold, rows } = aWorkers({ restore: async ({ id }, token) => restored.push(`${id} ${token}`) > 0 });
    const [mine, lost, anothers] = [hold("mine"), hold("lost"), hold("another's")];
    rows.delete("lost");
    rows.set("another's", { ...rows.get("another's")!, token: "you.1" });
    await vi.advanceTimersByTimeAsync(300);
    expect([mine, lost, anothers].map(({ signal }) => signal.aborted)).toEqual([false, false, true]);
    expect(restored).toEqual(["lost me.2"]);
  });

  test("are verified on request, and an outage of the store loses none", async () => {
    let away = true;
    const { leases, hold, rows } = aWorkers({
      leaseMs: Number.POSITIVE_INFINITY,
      get: async (id) => (away ? Promise.reject(new Error("down")) : rows.get(id)),
    });
    const [kept, erased] = [hold("kept"), hold("erased")];
    rows.set("erased", { ...rows.get("erased")!, record: "" });
    await leases.verify();
    expect([kept, erased].map(({ signal }) => signal.aborted)).toEqual([false, false]);
    away = false;
    await leases.verify();
    expect([kept, erased].map(({ signal }) => signal.aborted)).toEqual([false, true]);
    expect([...rows.keys()]).toEqual(["kept"]);
  });

  test("that were settled while they were extended are not verified", async () => {
    const answer = Promise.withResolvers<string[]>();
    const looked: string[] = [];
    const { hold } = aWorkers({
      extend: () => answer.promise,
      get: async (id) => void looked.push(id),
    });
    const lease = hold("one");
    await vi.advanceTimersByTimeAsync(300);
    await lease.settle(undefined, { state: lease.row.state, next: 0 }, new AbortController().signal);
    answer.resolve([]);
    await vi.advanceTimersByTimeAsync(100);
    expect(looked).toEqual([]);
  });

  test("are aborted when the worker must stop, those of later claims at once, and are no longer extended", async () => {
    const { hold, stop, requests } = aWorkers();
    const before = hold("before");
    stop.abort("shutting down");
    const after = hold("after");
    expect([before.signal.reason, after.signal.reason]).toEqual(["shutting down", "shutting down"]);
    await vi.advanceTimersByTimeAsync(900);
    expect(requests).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("are not extended once closed, or if one process owns the table", async () => {
    const closed = aWorkers();
    closed.hold("one");
    closed.leases.close();
    const exclusive = aWorkers({ leaseMs: Number.POSITIVE_INFINITY });
    const lease = exclusive.hold("one");
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect([closed.requests, exclusive.requests, lease.valid()]).toEqual([[], [], true]);
  });
});

describe("a claim", () => {
  test("holds its rows under a unique token", async () => {
    const given: JobRow[] = [];
    const { leases, requestsOf } = aWorkers({
      claim: async ({ token }) => (given.push(aHeldRow("one", token)), given),
    });
    const [lease] = await leases.claim(3, true);
    expect(lease?.row).toBe(given[0]);
    expect(lease?.read.record.job.id).toBe("one");
    expect(given[0]?.token).toBe("me.1");
    await leases.claim(1, false);
    expect(given.at(-1)?.token).toBe("me.2");
    await vi.advanceTimersByTimeAsync(300);
    expect(requestsOf("extend")).toHaveLength(1);
  });

  test("deletes the rows of erased jobs, whose worker died, and holds the others", async () => {
    const { leases, requests } = aWorkers({
      claim: async ({ token }) => [{ ...aHeldRow("erased", token), record: "" }, aHeldRow("one", token)],
    });
    expect((await leases.claim(3, true)).map(({ row }) => row.id)).toEqual(["one"]);
    expect(requests).toEqual([["remove", "erased", "me.1"]]);
  });

  test("leaves expired leases alone until the store has answered for the duration of a lease: their owners come first", async () => {
    const { leases, requestsOf } = aWorkers();
    const claim = async (): Promise<boolean> => {
      await leases.claim(2, false);
      return expiredAsked(requestsOf("claim"));
    };
    expect(await claim()).toBe(false);
    expect(requestsOf("claim")).toEqual([{ token: "me.1", count: 2, expired: false, suspects: false }]);
    vi.advanceTimersByTime(450);
    expect(await claim()).toBe(false);
    vi.advanceTimersByTime(449);
    expect(await claim()).toBe(false);
    vi.advanceTimersByTime(1);
    expect(await claim()).toBe(true);
    // A gap of more than half a lease may have been an outage.
    vi.advanceTimersByTime(451);
    expect(await claim()).toBe(true);
    vi.advanceTimersByTime(1);
    expect(await claim()).toBe(false);
  });

  test("takes expired leases at once if one process owns the table", async () => {
    const { leases, requestsOf } = aWorkers({ leaseMs: Number.POSITIVE_INFINITY });
    await leases.claim(1, false);
    expect(expiredAsked(requestsOf("claim"))).toBe(true);
  });

  test("whose answer was lost is undone before the next ones, for half a minute", async () => {
    let away = true;
    const tokens: string[] = [];
    const { leases, requestsOf } = aWorkers({
      claim: async ({ token }) => {
        tokens.push(token);
        if (away) throw new Error("down");
        return [];
      },
    });
    await expect(leases.claim(1, false)).rejects.toThrow("down");
    away = false;
    leases.disown("inserted");
    await leases.claim(1, false);
    expect([tokens, requestsOf("release")]).toEqual([
      ["me.1", "me.2"],
      ["me.1", "inserted"],
    ]);
    vi.advanceTimersByTime(30_000);
    await leases.claim(1, false);
    expect(requestsOf("release")).toHaveLength(4);
    vi.advanceTimersByTime(1);
    await leases.claim(1, false);
    expect(requestsOf("release")).toHaveLength(6);
    await leases.claim(1, false);
    expect(requestsOf("release")).toHaveLength(6);
  });
});
