import * as fc from "fast-check";
import { RE2JS } from "re2js";
import { expect, test } from "vitest";
import { createPatternEngine, nativeCost } from "../../src/schema/linear-pattern.ts";
import { estimatePatternSize } from "../../src/schema/pattern-size.ts";
import { StepBudgetError, StepMeter } from "../../src/schema/step-meter.ts";

const meter = new StepMeter();
const linearPattern = createPatternEngine(meter);
const matches = (pattern: string, text: string, steps = Number.POSITIVE_INFINITY): boolean => {
  meter.start(steps, false);
  return linearPattern(pattern, "u").test(text);
};

test.each([
  ["^[A-Z]{2,4}-\\d{3,6}$", true],
  ["^ORD-\\d{5}$", true],
  ["^\\w+@example\\.com$", true],
  ["abc?", true],
  ["^a*b+$", false],
  ["a+$", false],
  ["^(a+)+$", false],
  ["^(?=a)b$", false],
  ["^a|b$", false],
  ["^[a-z]{0,99}[a-z]{0,99}$", false],
  ["^a{3,1}$", false],
  ["(a)\\1", false],
  ["^\\p{L}$", false],
])("%s runs on the platform's own engine: %s", (pattern, plain) => {
  expect(nativeCost(pattern) !== undefined).toBe(plain);
});

test("a simple pattern matches what re2 matches", () => {
  const step = fc.tuple(
    fc.constantFrom("a", "-", " ", "\\d", "\\w", "\\S", "\\.", "[a-c]", "[^b]", "[\\d-]", "é"),
    fc.constantFrom("", "", "?", "{2}", "{1,3}", "+", "*", "{2,}"),
  );
  const pattern = fc
    .tuple(fc.constantFrom("^", ""), fc.array(step, { maxLength: 5 }), fc.constantFrom("$", ""))
    .map(([start, steps, end]) => start + steps.map((each) => each.join("")).join("") + end);
  const text = fc.string({
    unit: fc.constantFrom("a", "b", "c", "d", "0", "1", "-", ".", " ", "é", "\n"),
    maxLength: 8,
  });
  fc.assert(
    fc.property(pattern, text, (source, subject) => {
      const expected = RE2JS.compile(RE2JS.translateRegExp(source)).matcher(subject).find();
      expect(matches(source, subject)).toBe(expected);
    }),
    { numRuns: 2000 },
  );
});

test("a pattern on the platform's own engine takes no more steps than it reports", () => {
  const hostile = "a".repeat(262_144);
  for (const pattern of ["^a*b$", "^a{0,4}[a-c]{0,1}b$", "^[a-z]+0$", "a{4}b"]) {
    expect(nativeCost(pattern)).toBeDefined();
    for (let round = 0; round < 100; round++) expect(matches(pattern, hostile, 20_000_000)).toBe(false);
  }
  // Each of these would try every start, or every way to divide the text, hundreds of times.
  for (const pattern of ["a{0,200}b", "[a-z]{999}x", "^[ab]{0,99}[ab]*c"]) expect(nativeCost(pattern)).toBeUndefined();
});

test("a pattern that creates ever new states in re2 ends with the budget", () => {
  const text = `c${Array.from({ length: 262_000 }, (_, at) => ((at * at * 2_654_435_761) % 7 < 3 ? "a" : "b")).join("")}`;
  for (const pattern of ["(?:a|b)*a(?:a|b){20}c", "(?:a|b)*a(?:a|b){200}c", "(?:a|b)*a(?:a|b){900}c"]) {
    expect(() => matches(pattern, text, 12_000_000)).toThrow(StepBudgetError);
  }
  expect(matches("^(?:foo|bar)+$", "foobar".repeat(43_000), 12_000_000)).toBe(true);
});

test("the size of a pattern is known before it is compiled", () => {
  const repeat = fc.constantFrom("", "?", "*", "+", "{3}", "{2,5}", "{4,}");
  const { pattern } = fc.letrec<{ pattern: string; atom: string }>((tie) => ({
    atom: fc.oneof(
      fc.constantFrom("a", ".", "\\d", "[a-c]", "\\."),
      tie("pattern").map((inner) => `(?:${inner})`),
      tie("pattern").map((inner) => `(${inner})`),
    ),
    pattern: fc
      .array(fc.tuple(tie("atom"), repeat, fc.constantFrom("", "", "|")), { minLength: 1, maxLength: 4 })
      .map((parts) => parts.map((part) => part.join("")).join("")),
  }));
  fc.assert(
    fc.property(pattern, (source) => {
      let size: number;
      try {
        size = RE2JS.compile(source).programSize();
      } catch {
        return;
      }
      expect(size).toBeLessThanOrEqual(2 * estimatePatternSize(source) + 8);
    }),
  );
  expect(estimatePatternSize("(x|i){0,900}$")).toBeGreaterThan(3000);
});
