import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { batchPerTick } from "../../src/server/port.ts";

test("requests of one tick are handled together, in their order; disconnected ones are skipped", async () => {
  const handled: string[] = [];
  const gone = new Set<string>();
  const arrive = batchPerTick(
    (name: string) => {
      handled.push(name);
      // Arrives while the turn is handled, and belongs to the next one.
      if (name === "first") arrive("late");
    },
    (name) => gone.has(name),
  );

  arrive("first");
  arrive("second");
  arrive("third");
  expect(handled).toEqual([]);
  gone.add("second");
  await nextTurn();
  expect(handled).toEqual(["first", "third"]);
  await nextTurn();
  expect(handled).toEqual(["first", "third", "late"]);
});
