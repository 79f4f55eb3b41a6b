import { expect, onTestFinished, test, vi } from "vitest";
import { createRecentOutcomes, type RecentOutcome } from "../../src/ledger/recent-outcomes.ts";
import { aResult, anIntent } from "./samples.ts";

function anOutcome(key: string, { argumentsJson = "{}", output = "done" } = {}): RecentOutcome {
  return {
    intent: anIntent({ key, argumentsJson }),
    claim: { key, attempt: 1, lineage: "owner:1" },
    result: aResult(output),
  };
}

/** Outcomes that are remembered for a second, on a clock that the test controls. */
function remembered() {
  let now = 0;
  const recent = createRecentOutcomes(1_000, () => now);
  const keys = (): string[] => recent.all().map(({ intent }) => intent.key);
  return { recent, keys, pass: (ms: number) => (now += ms) };
}

test("an outcome is cached for its time and no longer", () => {
  const { recent, keys, pass } = remembered();
  const outcome = anOutcome("a");
  recent.remember(outcome);
  pass(1_000);
  expect(recent.get("a")).toBe(outcome);
  expect(keys()).toEqual(["a"]);
  pass(1);
  expect(recent.get("a")).toBeUndefined();
  expect(keys()).toEqual([]);
});

test("a key that is cached again counts from then, and has its later outcome", () => {
  const { recent, keys, pass } = remembered();
  recent.remember(anOutcome("a"));
  recent.remember(anOutcome("b"));
  pass(600);
  const later = anOutcome("a", { output: "later" });
  recent.remember(later);
  expect(keys()).toEqual(["b", "a"]);
  pass(600);
  expect(keys()).toEqual(["a"]);
  expect(recent.get("a")).toBe(later);
});

test("an outcome is deleted at the end of its time although nobody asks", () => {
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const { recent, keys, pass } = remembered();
  const elapse = (ms: number): void => {
    pass(ms);
    vi.advanceTimersByTime(ms);
  };
  /** The outcomes in memory: at this time none is too old. */
  const kept = (): string[] => {
    pass(-10_000);
    const found = keys();
    pass(10_000);
    return found;
  };
  recent.remember(anOutcome("a"));
  elapse(600);
  recent.remember(anOutcome("b"));
  elapse(400);
  expect(kept()).toEqual(["a", "b"]);
  elapse(1);
  expect(kept()).toEqual(["b"]);
  elapse(600);
  expect([kept(), vi.getTimerCount()]).toEqual([[], 0]);
});

test("entries can be deleted one by one or all together", () => {
  const { recent, keys } = remembered();
  for (const key of ["a", "b", "c"]) recent.remember(anOutcome(key));
  recent.forget("b");
  recent.forget("unknown");
  expect(keys()).toEqual(["a", "c"]);
  expect(recent.get("b")).toBeUndefined();
  recent.forgetAll();
  expect(keys()).toEqual([]);
});

test("of more than 10,000 outcomes the oldest are dropped", () => {
  const { recent, keys } = remembered();
  for (let count = 0; count < 10_000; count += 1) recent.remember(anOutcome(`key-${count}`));
  expect(keys()).toHaveLength(10_000);
  recent.remember(anOutcome("one more"));
  expect(keys()).toHaveLength(10_000);
  expect(recent.get("key-0")).toBeUndefined();
  expect(recent.get("key-1")).toBeDefined();
});

test("arguments and answers together are limited to 16 MiB of characters, and deleted ones make room", () => {
  const half = "x".repeat(8_388_608);
  const { recent, keys } = remembered();
  recent.remember(anOutcome("a", { argumentsJson: half, output: "" }));
  recent.remember(anOutcome("b", { argumentsJson: "", output: half }));
  expect(keys()).toEqual(["a", "b"]);
  recent.remember(anOutcome("c", { argumentsJson: "", output: "y" }));
  expect(keys()).toEqual(["b", "c"]);

  recent.forget("b");
  recent.remember(anOutcome("d", { argumentsJson: half, output: "" }));
  recent.remember(anOutcome("d", { argumentsJson: half, output: "" }));
  expect(keys()).toEqual(["c", "d"]);

  recent.forgetAll();
  recent.remember(anOutcome("e", { argumentsJson: half, output: half }));
  expect(keys()).toEqual(["e"]);
});
