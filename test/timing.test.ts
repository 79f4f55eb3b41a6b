import { expect, test, vi } from "vitest";
import { createPacer, maxTimerMs, orAborted, settledWithin, withTimeout } from "../src/timing.ts";
import { errorMessage } from "../src/error-message.ts";

const never = new Promise<never>(() => {});
const late = () => new Error("too late");

test("withTimeout returns the result in time, and its own error afterwards", async () => {
  await expect(withTimeout(Promise.resolve(1), 1000, late)).resolves.toBe(1);
  await expect(withTimeout(Promise.reject(new Error("broken")), 1000, late)).rejects.toThrow("broken");
  await expect(withTimeout(never, 1, late)).rejects.toThrow("too late");
});

test("a duration beyond the maximum of a timer does not end at once", async () => {
  vi.useFakeTimers();
  try {
    const waiting = withTimeout(never, Number.MAX_SAFE_INTEGER, late);
    const settled = settledWithin(waiting, 10);
    await vi.advanceTimersByTimeAsync(10);
    expect(await settled).toBe(false);
    await Promise.all([expect(waiting).rejects.toThrow("too late"), vi.advanceTimersByTimeAsync(maxTimerMs)]);
  } finally {
    vi.useRealTimers();
  }
});

test("settledWithin reports whether the work has settled, with success or failure", async () => {
  expect(await settledWithin(Promise.resolve(), 1000)).toBe(true);
  expect(await settledWithin(Promise.reject(new Error("broken")), 1000)).toBe(true);
  expect(await settledWithin(never, 1)).toBe(false);
});

test("a pacer runs the first piece of work at once, and the next ones in order, in each turn until its time is over", async () => {
  let time = 0;
  let turn = 0;
  const pace = createPacer(2, () => time);
  const done: string[] = [];
  const ended = Promise.withResolvers<void>();
  const piece = (n: number) => () => {
    // The time that a piece takes includes its microtasks.
    queueMicrotask(() => {
      time += 1;
      done.push(`${n} in turn ${turn}`);
      if (n === 5) ended.resolve();
    });
  };
  const nextTurn = (): void => {
    turn += 1;
    if (turn < 5) setImmediate(nextTurn);
  };
  setImmediate(nextTurn);
  for (let n = 1; n <= 5; n++) pace(piece(n));
  await ended.promise;
  expect(done).toEqual(["1 in turn 0", "2 in turn 0", "3 in turn 1", "4 in turn 1", "5 in turn 2"]);
  let isRun = false;
  await new Promise((resolve) => setImmediate(resolve));
  pace(() => (isRun = true));
  expect(isRun).toBe(true);
});

test("a pacer goes on after a piece of work that throws", async () => {
  const pace = createPacer(1, () => 0);
  const failing = () => {
    throw new Error("broken");
  };
  expect(() => pace(failing)).toThrow("broken");
  const ran = new Promise<void>((resolve) => pace(resolve));
  await ran;
});

test("orAborted rejects with the signal's reason as soon as it fires", async () => {
  const stop = new AbortController();
  const waiting = orAborted(never, stop.signal);
  stop.abort(new Error("gone"));
  await expect(waiting).rejects.toThrow("gone");
  await expect(orAborted(Promise.resolve(1), stop.signal)).rejects.toThrow("gone");
  await expect(orAborted(Promise.resolve(1), new AbortController().signal)).resolves.toBe(1);
});

test("the message of any thrown value can be read", () => {
  expect(errorMessage(new Error("broken"))).toBe("broken");
  expect(errorMessage("text")).toBe("text");
  expect(errorMessage(undefined)).toBe("undefined");
  const hostile = new Error("x");
  Object.defineProperty(hostile, "message", {
    get() {
      throw new Error("no");
    },
  });
  for (const thrown of [hostile, Object.create(null)]) {
    expect(errorMessage(thrown)).toBe("an error that cannot be read");
  }
});
