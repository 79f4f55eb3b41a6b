import * as fc from "fast-check";
import { RE2JS } from "re2js";
import { expect, test } from "vitest";
import { isPlain, linearPattern } from "../../src/schema/linear-pattern.ts";

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
  expect(isPlain(pattern)).toBe(plain);
});

test("a plain pattern finds what re2 finds", () => {
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
      expect(linearPattern(source, "u").test(subject)).toBe(expected);
    }),
    { numRuns: 2000 },
  );
});

test("no pattern that is taken for plain takes long", () => {
  const hostile = "a".repeat(50_000);
  for (const pattern of ["^a*b$", "^a{0,9}a{0,9}b$", "^[a-z]+0$", "a{0,200}b"]) {
    expect(isPlain(pattern)).toBe(true);
    expect(linearPattern(pattern, "u").test(hostile)).toBe(false);
  }
});
