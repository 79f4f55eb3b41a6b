import { array, assert, nat, property } from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createHeartbeat, type Heartbeat, type HeartbeatAnswer } from "../../src/ledger/drivers/heartbeat.ts";
import { createOwnerWatch } from "../../src/ledger/drivers/owner-watch.ts";
import { createServerTime } from "../../src/ledger/drivers/server-time.ts";

describe("which owners are alive", () => {
  const options = { leaseMs: 2_500, maxIntervalMs: 1_000 };

  test("an owner whose count stays the same over the lease is dead, one whose count grows is not", () => {
    let now = 0;
    const watch = createOwnerWatch({ ...options, monotonic: () => now });
    for (let beat = 0; beat < 5; beat++, now += 800) {
      watch.saw([
        ["still", "7"],
        ["alive", String(beat)],
      ]);
    }
    expect(watch.dead()).toEqual(["still:7"]);
    watch.saw([["still", "8"]]);
    expect(watch.dead()).toEqual([]);
  });

  test("an outage of the server, however long, declares nobody dead", () => {
    let now = 0;
    const watch = createOwnerWatch({ ...options, monotonic: () => now });
    watch.saw([["other", "1"]]);
    now += 3_600_000;
    watch.saw([["other", "1"]]);
    now += 800;
    watch.saw([["other", "1"]]);
    expect(watch.dead()).toEqual([]);
  });

  test("nobody is declared dead before the lease is over, whatever the intervals", () => {
    assert(
      property(array(nat(5_000), { maxLength: 30 }), (intervals) => {
        let now = 0;
        const watch = createOwnerWatch({ ...options, monotonic: () => now });
        watch.saw([["other", "1"]]);
        for (const interval of intervals) {
          now += interval;
          watch.saw([["other", "1"]]);
          if (watch.dead().length > 0) expect(now).toBeGreaterThanOrEqual(options.leaseMs);
        }
      }),
    );
  });
});

describe("the server's time", () => {
  test("is extrapolated between answers, and unknown before the first", () => {
    let now = 100;
    const time = createServerTime({ monotonic: () => now, wall: () => 5_000 });
    expect(time.known()).toBe(false);
    time.set(5_000, 100);
    now += 250;
    expect(time.now()).toBe(5_250);
  });

  test("a step forward is distinguished from elapsed time, and undone by a step back", () => {
    let now = 0;
    const time = createServerTime({ monotonic: () => now, wall: () => 0 });
    time.set(1_000, now);
    now += 60_000;
    time.set(61_400, now);
    expect(time.steppedMs).toBe(0);
    now += 800;
    time.set(61_400 + 800 + 90_000_000, now);
    expect(time.steppedMs).toBe(90_000_000);
    now += 800;
    time.set(61_400 + 1_600, now);
    expect(time.steppedMs).toBe(0);
  });

  test("a slow answer is not mistaken for a step or for a different clock", () => {
    let now = 0;
    const time = createServerTime({ monotonic: () => now, wall: () => 1_000_000 + now });
    time.set(1_000_000, 0);
    now = 3_000;
    // Sent at 0, answered by the server at 100, received at 3,000.
    time.set(1_000_100, 0);
    expect(time.steppedMs).toBe(0);
    expect(Math.abs(time.skewMs)).toBeLessThan(1_500);
  });

  test("a deviation that the answer's duration can explain is neither a step nor a difference, a larger one is both", () => {
    let now = 0;
    let wall = 0;
    const time = createServerTime({ monotonic: () => now, wall: () => wall });
    time.set(0, 0);
    expect([time.now(), time.steppedMs, time.skewMs]).toEqual([0, 0, 0]);
    // Sent at 0, received at 400: the server may have answered 200 ms earlier or later than in the middle.
    now = 400;
    wall = 400;
    time.set(200 + 1_200, 0);
    expect([time.steppedMs, time.now()]).toEqual([0, 1_600]);
    time.set(200, 0);
    expect([time.steppedMs, time.skewMs]).toEqual([0, 0]);
    time.set(200 + 1_201, 0);
    expect(time.steppedMs).toBe(1_201);
    wall = 200 + 1_401 + 201;
    time.set(200 + 1_201, 0);
    expect([time.steppedMs, time.skewMs]).toEqual([1_201, 201]);
    wall -= 1;
    time.set(200 + 1_201, 0);
    expect(time.skewMs).toBe(0);
  });

  test("a step back alone is not a step forward", () => {
    const time = createServerTime({ monotonic: () => 0, wall: () => 0 });
    time.set(90_000, 0);
    time.set(0, 0);
    expect(time.steppedMs).toBe(0);
    time.set(5_000, 0);
    expect(time.steppedMs).toBe(5_000);
  });

  test("a deviation of this machine's clock is measured", () => {
    const time = createServerTime({ monotonic: () => 0, wall: () => 7_200_000 });
    time.set(0, 0);
    expect(time.skewMs).toBe(7_200_000);
  });
});

describe("a heartbeat", () => {
  let heartbeat: Heartbeat | undefined;
  afterEach(() => {
    heartbeat?.stop();
    vi.useRealTimers();
  });
  const start = (time: () => number): Heartbeat =>
    (heartbeat = createHeartbeat(async () => ({ time: time(), owners: [], erasures: [] }), {
      server: "Redis",
      answerWithinMs: 1_500,
    }));

  test("notes a clock of this machine that is off by more than a second, and no other", async () => {
    const behind = start(() => Date.now() + 7_200_000);
    await behind.beat();
    expect(behind.notes()).toEqual([
      expect.stringMatching(/clock is 7200\.\d s behind that of Redis: synchronise both/),
    ]);
    behind.stop();
    const right = start(() => Date.now());
    await right.beat();
    expect(right.notes()).toEqual([]);
  });

  test("notes a clock of the server that was put forward, and how much longer ended calls are kept", async () => {
    let ahead = 0;
    const beating = start(() => Date.now() + ahead);
    await beating.beat();
    ahead = 90_000_000;
    await beating.beat();
    expect(Math.round(beating.steppedMs / 1000)).toBe(90_000);
    expect(beating.notes().join()).toContain("was put forward by 90000");
  });

  test("notes a clock of this machine that is ahead, but not by a second or less", async () => {
    vi.useFakeTimers({ toFake: ["performance", "Date", "setTimeout", "clearTimeout"] });
    const notesWith = async (aheadMs: number): Promise<string[]> => {
      const beating = start(() => Date.now() - aheadMs);
      await beating.beat();
      beating.stop();
      return beating.notes();
    };
    expect(await notesWith(1_001)).toEqual(["this machine's clock is 1.0 s ahead of that of Redis: synchronise both"]);
    for (const aheadMs of [1_000, 0, -1_000]) expect(await notesWith(aheadMs)).toEqual([]);
  });

  test("notes that the server's clock was put forward if that is more than a second", async () => {
    vi.useFakeTimers({ toFake: ["performance", "Date", "setTimeout", "clearTimeout"] });
    // The clocks of both machines jump forward: only the server's matters to its entries.
    const beating = start(() => Date.now());
    await beating.beat();
    vi.setSystemTime(Date.now() + 1_000);
    await beating.beat();
    expect(beating.notes()).toEqual([]);
    vi.setSystemTime(Date.now() + 5_000);
    await beating.beat();
    expect(beating.notes()).toEqual([
      "the clock of Redis was put forward by 5.0 s: ended calls are kept that much longer",
    ]);
  });

  test("beats every 800 ms, even after a failed beat, until it is stopped", async () => {
    vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout"] });
    let beats = 0;
    const answers: (() => Promise<HeartbeatAnswer>)[] = [];
    const answer = { time: 0, owners: [], erasures: [] };
    const beating = createHeartbeat(async () => ((beats += 1), await (answers.shift()?.() ?? answer)), {
      server: "Redis",
      answerWithinMs: 1_500,
    });
    expect(beats).toBe(1);
    await vi.advanceTimersByTimeAsync(799);
    expect(beats).toBe(1);
    answers.push(() => Promise.reject(new Error("down")));
    await vi.advanceTimersByTimeAsync(1);
    expect(beats).toBe(2);
    await vi.advanceTimersByTimeAsync(800);
    expect(beats).toBe(3);
    beating.stop();
    await vi.advanceTimersByTimeAsync(8_000);
    expect([beats, vi.getTimerCount()]).toEqual([3, 0]);

    // Stopped during a heartbeat.
    const late = Promise.withResolvers<HeartbeatAnswer>();
    createHeartbeat(() => late.promise, { server: "Redis", answerWithinMs: 1_500 }).stop();
    late.resolve(answer);
    await vi.advanceTimersByTimeAsync(8_000);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("declares an owner dead that has not beaten for 2.5 s of its own beats", async () => {
    vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout"] });
    heartbeat = createHeartbeat(async () => ({ time: 0, owners: [["other", "7"]], erasures: [] }), {
      server: "Redis",
      answerWithinMs: 1_500,
    });
    await vi.advanceTimersByTimeAsync(2_400);
    expect(heartbeat.dead()).toEqual([]);
    await vi.advanceTimersByTimeAsync(800);
    expect(heartbeat.dead()).toEqual(["other:7"]);
  });

  test("requests the server's time once, and extrapolates it", async () => {
    vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout"] });
    let beats = 0;
    const answer = Promise.withResolvers<HeartbeatAnswer>();
    heartbeat = createHeartbeat(() => ((beats += 1), answer.promise), { server: "Redis", answerWithinMs: 1_500 });
    const latest = heartbeat.latest();
    answer.resolve({ time: 1_000_000, owners: [], erasures: [] });
    expect([await latest, beats]).toEqual([1_001_500, 2]);
    await vi.advanceTimersByTimeAsync(300);
    expect([await heartbeat.latest(), beats]).toEqual([1_001_800, 2]);
    const away = createHeartbeat(() => Promise.reject(new Error("down")), { server: "Redis", answerWithinMs: 1_500 });
    await expect(away.latest()).rejects.toThrow("down");
    away.stop();
  });

  test("reports until when the server may still execute a request", async () => {
    const beating = start(() => 1_000_000);
    const latest = await beating.latest();
    expect(latest).toBeGreaterThanOrEqual(1_001_500);
    expect(latest).toBeLessThan(1_001_500 + 60_000);
  });
});
