import { getEventListeners } from "node:events";
import * as fc from "fast-check";
import { expect, test, vi } from "vitest";
import { backoffMs, retryAfterMs, wait } from "../../src/outbound/retry.ts";
import { testRequirement } from "../support/test-requirement.ts";

const now = Date.UTC(2026, 0, 2, 3, 4, 5);

testRequirement("000.12", "seconds and HTTP dates in all three forms are read", () => {
  expect(retryAfterMs("1", now)).toBe(1000);
  expect(retryAfterMs(" 120 ", now)).toBe(120_000);
  expect(retryAfterMs("1.5", now)).toBe(1500);
  expect(retryAfterMs("Fri, 02 Jan 2026 03:04:15 GMT", now)).toBe(10_000);
  expect(retryAfterMs("Friday, 02-Jan-26 03:04:15 GMT", now)).toBe(10_000);
  expect(retryAfterMs("Fri Jan  2 03:04:15 2026", now)).toBe(10_000);
  expect(retryAfterMs("Wed, 21 Oct 2015 07:28:00 GMT", now)).toBe(0);
});

test("a date without a zone is in GMT, wherever the service runs", () => {
  const zone = process.env["TZ"];
  process.env["TZ"] = "America/New_York";
  try {
    expect(retryAfterMs("Fri Jan  2 03:04:15 2026", now)).toBe(10_000);
  } finally {
    if (zone === undefined) delete process.env["TZ"];
    else process.env["TZ"] = zone;
  }
});

test("anything else is ignored", () => {
  for (const text of [
    undefined,
    "",
    "-1",
    "soon",
    "1s",
    "1e3",
    "0x10",
    "Infinity",
    "NaN",
    "2026-01-02",
    "1;2",
    "Fri, 02 Jan",
    ",",
    "1".repeat(600),
  ]) {
    expect(retryAfterMs(text, now), text).toBeUndefined();
  }
});

test("of a repeated header the longest wait counts", () => {
  expect(retryAfterMs("1, 3, 2", now)).toBe(3000);
  expect(retryAfterMs("1, Fri, 02 Jan 2026 03:04:15 GMT", now)).toBe(10_000);
  expect(retryAfterMs("5, garbage", now)).toBeUndefined();
});

test("an impossible date is skipped, and ignored if it stands alone", () => {
  const odd = "Fri, 99 Jan 2026 99:99:99 GMT";
  expect(retryAfterMs(odd, now)).toBeUndefined();
  expect(retryAfterMs(`5, ${odd}`, now)).toBe(5000);
});

test("up to 512 characters are read, including spaces around commas", () => {
  expect(retryAfterMs(`1 ,${"2,".repeat(254)}3`, now)).toBe(3000);
  expect(retryAfterMs(`1 ,${"2,".repeat(255)}3`, now)).toBeUndefined();
});

test("for any input, the wait fits into a timer and is never negative (hazard 49)", () => {
  const texts = fc.oneof(
    fc.string(),
    fc.integer().map(String),
    fc.double().map(String),
    fc.bigInt().map(String),
    fc.date({ noInvalidDate: true }).map((at) => at.toUTCString()),
  );
  fc.assert(
    fc.property(texts, fc.integer({ min: 0, max: 4e12 }), (text, at) => {
      const ms = retryAfterMs(text, at);
      return ms === undefined || (ms >= 0 && ms < 2 ** 31);
    }),
  );
});

testRequirement(
  ["003.6", "000.12"],
  "the backoff doubles from 500 ms to 2 s, and jitter adds at most a quarter",
  () => {
    expect([0, 1, 2, 3, 9].map((retry) => backoffMs(retry, undefined, () => 0))).toEqual([500, 1000, 2000, 2000, 2000]);
    fc.assert(
      fc.property(fc.nat(50), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (retry, chance) => {
        const ms = backoffMs(retry, undefined, () => chance);
        return ms >= 500 && ms <= 2500;
      }),
    );
  },
);

testRequirement("000.12", "a policy's maximum pause is never below its first one", () => {
  expect([0, 1, 2, 3].map((retry) => backoffMs(retry, { baseMs: 100, maxMs: 300 }, () => 0))).toEqual([
    100, 200, 300, 300,
  ]);
  expect([0, 1].map((retry) => backoffMs(retry, { baseMs: 5000 }, () => 1))).toEqual([6250, 6250]);
});

test("a wait ends in time, or with the reason of the signal as soon as it fires, and leaves no listener", async () => {
  vi.useFakeTimers();
  try {
    const controller = new AbortController();
    const { signal } = controller;
    const ends: string[] = [];
    const waited = [0, -5, 40, 2 ** 40, Number.NaN].map((ms) =>
      wait(ms, signal).then(
        () => ends.push(`${ms} over`),
        (reason: Error) => ends.push(`${ms} ${reason.message}`),
      ),
    );
    await vi.advanceTimersByTimeAsync(39);
    expect(ends).toEqual(["0 over", "-5 over"]);
    await vi.advanceTimersByTimeAsync(1);
    expect(ends.slice(2)).toEqual(["40 over"]);
    await vi.advanceTimersByTimeAsync(2 ** 31 - 100);
    expect(getEventListeners(signal, "abort")).toHaveLength(2);
    controller.abort(new Error("gone"));
    await Promise.all(waited);
    expect(ends.slice(3)).toEqual([`${2 ** 40} gone`, "NaN gone"]);
    expect(getEventListeners(signal, "abort")).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
    await expect(wait(1, signal)).rejects.toThrow("gone");
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});
