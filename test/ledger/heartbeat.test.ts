import { array, assert, nat, property } from "fast-check";
import { describe, expect, test } from "vitest";
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
