import { array, assert, nat, property } from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { createHeartbeat, type Heartbeat } from "../../src/ledger/drivers/heartbeat.ts";
import { createOwnerWatch } from "../../src/ledger/drivers/owner-watch.ts";
import { createServerTime } from "../../src/ledger/drivers/server-time.ts";

describe("which owners live", () => {
  const options = { leaseMs: 2_500, maxIntervalMs: 1_000 };

  test("an owner whose number stays the same over the lease is dead, one whose number grows is not", () => {
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

  test("an outage of the server, however long, makes nobody dead", () => {
    let now = 0;
    const watch = createOwnerWatch({ ...options, monotonic: () => now });
    watch.saw([["other", "1"]]);
    now += 3_600_000;
    watch.saw([["other", "1"]]);
    now += 800;
    watch.saw([["other", "1"]]);
    expect(watch.dead()).toEqual([]);
  });

  test("nobody is called dead before the lease is over, whatever the intervals", () => {
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
  test("is carried on between answers, and unknown before the first", () => {
    let now = 100;
    const time = createServerTime({ monotonic: () => now, wall: () => 5_000 });
    expect(time.known()).toBe(false);
    time.set(5_000, 100);
    now += 250;
    expect(time.now()).toBe(5_250);
  });

  test("a step forward is told from the time that passed, and taken back with a step back", () => {
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

  test("a slow answer is not taken for a step or for a clock that differs", () => {
    let now = 0;
    const time = createServerTime({ monotonic: () => now, wall: () => 1_000_000 + now });
    time.set(1_000_000, 0);
    now = 3_000;
    // Sent at 0, answered by the server at 100, received at 3,000.
    time.set(1_000_100, 0);
    expect(time.steppedMs).toBe(0);
    expect(Math.abs(time.skewMs)).toBeLessThan(1_500);
  });

  test("a clock of this machine that differs is measured", () => {
    const time = createServerTime({ monotonic: () => 0, wall: () => 7_200_000 });
    time.set(0, 0);
    expect(time.skewMs).toBe(7_200_000);
  });
});

describe("a heartbeat", () => {
  let heartbeat: Heartbeat | undefined;
  afterEach(() => heartbeat?.stop());
  const start = (time: () => number): Heartbeat =>
    (heartbeat = createHeartbeat(async () => ({ time: time(), owners: [] }), {
      server: "Redis",
      answerWithinMs: 1_500,
    }));

  test("notes a clock of this machine that is off by more than a second, and none that is not", async () => {
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

  test("notes a clock of the server that was put forward, and says by how much what ended is kept longer", async () => {
    let ahead = 0;
    const beating = start(() => Date.now() + ahead);
    await beating.beat();
    ahead = 90_000_000;
    await beating.beat();
    expect(Math.round(beating.steppedMs / 1000)).toBe(90_000);
    expect(beating.notes().join()).toContain("was put forward by 90000");
  });

  test("says until when the server may still carry out a request", async () => {
    const beating = start(() => 1_000_000);
    const latest = await beating.latest();
    expect(latest).toBeGreaterThanOrEqual(1_001_500);
    expect(latest).toBeLessThan(1_001_500 + 60_000);
  });
});
