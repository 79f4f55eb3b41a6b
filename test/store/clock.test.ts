import { expect, test } from "vitest";
import * as fc from "fast-check";
import { createClock } from "../../src/store/clock.ts";

test("the clock starts at the wall clock and continues with monotonic time only", () => {
  let [wall, monotonic] = [1_000_000, 50];
  const clock = createClock({ wall: () => wall, monotonic: () => monotonic });
  expect(clock()).toBe(1_000_000);
  wall -= 3_600_000;
  monotonic += 10;
  expect(clock()).toBe(1_000_010);
  wall += 86_400_000 * 2;
  expect(clock()).toBe(1_000_010);
});

test("the clock never starts before a time that an earlier process has recorded", () => {
  expect(createClock({ wall: () => 500, monotonic: () => 0, notBefore: 900 })()).toBe(900);
  expect(createClock({ wall: () => 1_500, monotonic: () => 0, notBefore: 900 })()).toBe(1_500);
});

test("whatever the machine's clock does, the clock does not go back", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer(), fc.nat())), (moves) => {
      let [wall, monotonic] = [1_700_000_000_000, 0];
      const clock = createClock({ wall: () => wall, monotonic: () => monotonic });
      let last = clock();
      for (const [jump, passed] of moves) {
        wall += jump;
        monotonic += passed;
        expect(clock()).toBe(last + passed);
        last = clock();
      }
    }),
  );
});
