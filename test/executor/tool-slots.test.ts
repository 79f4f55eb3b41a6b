import { expect, test } from "vitest";
import { createSlots } from "../../src/executor/stages/acquire-slot.ts";
import type { CompiledTool } from "../../src/registry/registry.ts";

const tool = (name: string, tenant?: string) =>
  ({ name, tenant, concurrency: 1, queue: 0, timeoutMs: 1000 }) as CompiledTool;
const execution = { onCancel: () => {} };

test("a busy tool of one tenant does not affect another tenant's tool of the same name", () => {
  const slotsOf = createSlots((work) => work());
  const acquire = (of: CompiledTool) => slotsOf(of).acquire(of, execution);
  expect(acquire(tool("work", "a"))).toBeUndefined();
  expect(acquire(tool("work", "a"))).toMatchObject({ retryAfterSeconds: expect.any(Number) });
  expect(acquire(tool("work", "b"))).toBeUndefined();
  expect(acquire(tool("work"))).toBeUndefined();
});

test("a tool that is replaced keeps its count", () => {
  const slotsOf = createSlots((work) => work());
  const before = tool("work", "a");
  void slotsOf(before).acquire(before, execution);
  const after = tool("work", "a");
  expect(slotsOf(after).acquire(after, execution)).toMatchObject({ retryAfterSeconds: expect.any(Number) });
});

test("a call that is cancelled after it got its slot leaves the other waiting calls in the queue", async () => {
  const queued = { ...tool("work"), queue: 2 };
  const slots = createSlots((work) => work())(queued);
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
