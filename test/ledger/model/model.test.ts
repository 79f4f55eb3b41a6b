import { describe, expect, test } from "vitest";
import { explore } from "./explore.ts";
import type { Exploration } from "./explore.ts";
import { stepsFrom } from "./protocol.ts";
import { allRules, startState } from "./state.ts";
import type { Faults, Rules } from "./state.ts";

const none: Faults = {
  crash: 0,
  freeze: 0,
  cut: 0,
  lateCommit: 0,
  lostAnswer: 0,
  deferred: 0,
  noStart: 0,
  loss: 0,
  calls: 2,
};

function check(faults: Partial<Faults>, rules: Partial<Rules> = {}, reconciles = true): Exploration {
  return explore({
    start: startState({ ...none, ...faults }),
    stepsFrom: (state) => stepsFrom(state, { ...allRules, ...rules }, reconciles),
    violationIn: ({ wrong }) => (wrong === "" ? undefined : wrong),
    isSettled: ({ entry }) => entry?.state !== "running",
    mustSettle: ({ processes }) => processes.some(({ alive }) => alive),
  });
}

const combinations: [string, Partial<Faults>][] = [
  ["a kill and a freeze", { crash: 1, freeze: 1 }],
  ["a kill and a lost answer", { crash: 1, lostAnswer: 1 }],
  ["a freeze and a lost answer", { freeze: 1, lostAnswer: 1 }],
  ["a cut and a kill", { cut: 1, crash: 1 }],
  ["a cut and an outcome that waits", { cut: 1, deferred: 1 }],
  ["a kill and an outcome that waits", { crash: 1, deferred: 1 }],
  ["a late commit and a freeze", { lateCommit: 1, freeze: 1 }],
  ["a late commit and a kill", { lateCommit: 1, crash: 1 }],
  ["a run that does not start and a freeze", { noStart: 1, freeze: 1 }],
  ["a freeze, a kill and a lost answer", { freeze: 1, crash: 1, lostAnswer: 1 }],
];

describe("one call, two processes", () => {
  for (const reconciles of [true, false]) {
    test.each(combinations)(
      `keep every promise through %s ${reconciles ? "with" : "without"} reconcile`,
      (_name, faults) => {
        const { violation, states } = check(faults, {}, reconciles);
        expect(violation).toBeUndefined();
        expect(states).toBeGreaterThan(100);
      },
    );
  }

  test("keep an acknowledged outcome when the store loses the entry of a running call", () => {
    // Without other callers: a repeat that finds nothing runs, and no rule can prevent it.
    expect(check({ loss: 1, calls: 1 }).violation).toBeUndefined();
    expect(check({ loss: 1, calls: 2 }).violation?.rule).toBe("two effects");
  });
});

describe("each rule is needed: without it", () => {
  test.each<[keyof Rules, string, Partial<Faults>]>([
    ["waitForEnd", "an effect after somebody was told to check", { freeze: 1 }],
    ["stopSending", "an effect after somebody was told to check", { freeze: 1 }],
    ["fence", "a definitive answer became UNCERTAIN", { freeze: 1 }],
    ["answerStored", "a definitive answer became UNCERTAIN", { freeze: 1 }],
    ["settle", "an UNCERTAIN stays although its owner knows better", { freeze: 1 }],
    ["settleOwnRun", "an effect after somebody was told that it failed", { freeze: 1, lostAnswer: 1 }],
    ["orphans", "a call waits for ever", { lateCommit: 1 }],
    ["release", "a call waits for ever", { noStart: 1 }],
    ["durableFirst", "a definitive answer became UNCERTAIN", { crash: 1, deferred: 1 }],
    ["writeAnew", "an acknowledged outcome is gone", { loss: 1, calls: 1 }],
  ])("%s, there is %s", (rule, expected, faults) => {
    expect(check(faults).violation).toBeUndefined();
    const { violation } = check(faults, { [rule]: false });
    expect(violation?.rule, violation?.steps.join("; ")).toBe(expected);
    expect(violation?.steps.length).toBeGreaterThan(0);
  });
});
