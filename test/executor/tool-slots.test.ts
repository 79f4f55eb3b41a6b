import { expect, test } from "vitest";
import { createSlots } from "../../src/executor/stages/acquire-slot.ts";
import type { CompiledTool } from "../../src/registry/registry.ts";

const tool = (name: string, tenant?: string) =>
  ({ name, tenant, concurrency: 1, queue: 0, timeoutMs: 1000 }) as CompiledTool;
const execution = { onCancel: () => {} };
const atOnce = (work: () => void): void => work();

test("a busy tool of one tenant does not affect another tenant's tool of the same name", () => {
  const slotsOf = createSlots(atOnce, atOnce);
  const acquire = (of: CompiledTool) => slotsOf(of).acquire(of, execution);
  expect(acquire(tool("work", "a"))).toBeUndefined();
  expect(acquire(tool("work", "a"))).toMatchObject({ retryAfterSeconds: expect.any(Number) });
  expect(acquire(tool("work", "b"))).toBeUndefined();
  expect(acquire(tool("work"))).toBeUndefined();
});

test("a tool that is replaced keeps its count", () => {
  const slotsOf = createSlots(atOnce, atOnce);
  const before = tool("work", "a");
  void slotsOf(before).acquire(before, execution);
  const after = tool("work", "a");
  expect(slotsOf(after).acquire(after, execution)).toMatchObject({ retryAfterSeconds: expect.any(Number) });
});

test("a call that is cancelled after it got its slot leaves the other waiting calls in the queue", async () => {
  const queued = { ...tool("work"), queue: 2 };
  const slots = createSlots(atOnce, atOnce)(queued);
  let cancelSecond = (): void => {};
  expect(slots.acquire(queued, execution)).toBeUndefined();
  const second = slots.acquire(queued, { onCancel: (listener) => (cancelSecond = listener) });
  const third = slots.acquire(queued, execution);
  slots.release(undefined);
  expect(await second).toBeUndefined();
  cancelSecond();
  slots.release(undefined);
  expect(await third).toBeUndefined();
});

test("a freed slot passes to a waiting call only when the pacer lets it, and to nobody who came later", async () => {
  const queued = { ...tool("work"), queue: 2 };
  const paced: (() => void)[] = [];
  const slots = createSlots(atOnce, (work) => void paced.push(work))(queued);
  expect(slots.acquire(queued, execution)).toBeUndefined();
  let isSecondIn = false;
  const second = Promise.resolve(slots.acquire(queued, execution)).then(() => (isSecondIn = true));
  slots.release(undefined);
  const third = slots.acquire(queued, execution);
  expect(third).toBeInstanceOf(Promise);
  expect(isSecondIn).toBe(false);
  paced.shift()!();
  await second;
  slots.release(undefined);
  paced.shift()!();
  expect(await third).toBeUndefined();
});

test("a slot that is freed is free again if the waiting call is cancelled before it gets it", () => {
  const queued = { ...tool("work"), queue: 1 };
  const paced: (() => void)[] = [];
  const slots = createSlots(atOnce, (work) => void paced.push(work))(queued);
  let cancel = (): void => {};
  expect(slots.acquire(queued, execution)).toBeUndefined();
  void slots.acquire(queued, { onCancel: (listener) => (cancel = listener) });
  slots.release(undefined);
  cancel();
  for (const work of paced) work();
  expect(slots.acquire(queued, execution)).toBeUndefined();
});
