import { expect, test } from "vitest";
import { createSlots } from "../../src/jobs/slots.ts";

/** A task that the test ends, and that records its signal. */
function task() {
  const { promise, resolve } = Promise.withResolvers<void>();
  const seen: AbortSignal[] = [];
  return { seen, end: resolve, run: (signal: AbortSignal) => (seen.push(signal), promise) };
}

const noEnd = (): void => {};
const atOnce = async (): Promise<void> => {};

test("a task occupies a slot until it has ended, and the slot is free when `onEnd` is called", async () => {
  const slots = createSlots(2, atOnce);
  const one = task();
  expect(slots.free()).toBe(2);
  const told = Promise.withResolvers<number>();
  slots.start(one.run, () => told.resolve(slots.free()));
  expect([slots.free(), slots.stopped]).toEqual([1, false]);
  expect(one.seen).toEqual([slots.signal]);
  one.end();
  expect(await told.promise).toBe(2);
});

test("once stopped it has no free slots, says so, and waits for running tasks", async () => {
  let stops = 0;
  const slots = createSlots(2, async () => void (stops += 1));
  const one = task();
  slots.start(one.run, noEnd);
  let stopped = false;
  const stopping = slots.stop().then(() => (stopped = true));
  expect([slots.free(), slots.stopped, stops]).toEqual([0, true, 1]);
  await new Promise((resolve) => setImmediate(resolve));
  expect([stopped, slots.signal.aborted]).toEqual([false, false]);
  one.end();
  await stopping;
  expect(slots.signal.aborted).toBe(false);
});

test("when the time to stop is over, running tasks are aborted and not waited for", async () => {
  for (const expired of [true, false]) {
    const slots = createSlots(1, atOnce);
    slots.start(task().run, noEnd);
    const time = new AbortController();
    if (expired) time.abort();
    const stopping = slots.stop(time.signal);
    time.abort();
    await stopping;
    expect(slots.signal.reason).toEqual(new Error("the service is shutting down"));
  }
});

test("without running tasks it stops at once, and a later timeout has no effect", async () => {
  const slots = createSlots(1, atOnce);
  const time = new AbortController();
  await slots.stop(time.signal);
  const busy = createSlots(1, atOnce);
  const one = task();
  busy.start(one.run, noEnd);
  const stopping = busy.stop(time.signal);
  one.end();
  await stopping;
  time.abort();
  expect([slots.signal.aborted, busy.signal.aborted]).toEqual([false, false]);
});

test("it waits until nothing is about to start, but not longer than it has time", async () => {
  const starting = Promise.withResolvers<void>();
  const slots = createSlots(1, () => starting.promise);
  let stopped = false;
  const stopping = slots.stop().then(() => (stopped = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(stopped).toBe(false);
  starting.resolve();
  await stopping;
  await createSlots(1, () => new Promise(() => {})).stop(AbortSignal.abort());
});
