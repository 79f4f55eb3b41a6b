import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ExactNumber, parseJson, withDoubles, withNumberTexts } from "../../src/json/exact-number.ts";
import { property } from "../support/property.ts";

const lost = [
  "9007199254740993",
  "-9007199254740992",
  "12345678901234567890",
  "1e400",
  "-1E+400",
  "0.12345678901234567890",
  "1e-400",
  "3.141592653589793238462643",
  "100000000000000000000000",
];
const held = [
  "0",
  "-0",
  "1",
  "0.1",
  "1.10",
  "1e5",
  "9007199254740991",
  "0.30000000000000004",
  "123456789012345.60",
  "5e-324",
];

describe("a number in JSON", () => {
  test.each(lost)("that a double cannot hold, %s, is written as it was read", (number) => {
    const text = `{"a":[${number},"x"],"b":${number}}`;
    const value = parseJson(text) as { a: [ExactNumber, string]; b: ExactNumber };
    expect(JSON.stringify(value)).toBe(text);
    expect(value.b.toString()).toBe(number);
    expect(value.b instanceof ExactNumber && Number(value.b)).toBe(Number(number));
    expect(withNumberTexts(value)).toEqual({ a: [number, "x"], b: number });
    expect(JSON.stringify(withDoubles(value))).not.toContain("null");
  });

  test.each(held)("that a double holds, %s, is a plain number", (number) => {
    const value = parseJson(`[${number}]`) as number[];
    expect(value).toEqual(JSON.parse(`[${number}]`));
    expect(withDoubles(value)).toBe(value);
  });

  property([fc.jsonValue({ maxDepth: 4 })])("never changes what JSON.parse reads", (value) => {
    const text = JSON.stringify(value);
    expect(JSON.parse(JSON.stringify(parseJson(text)))).toEqual(JSON.parse(text));
  });

  property([fc.bigInt(), fc.bigInt({ min: 0n, max: 10n ** 30n })])(
    "of any size keeps its digits",
    (whole, fraction) => {
      for (const number of [`${whole}`, `${whole}.${fraction}1`]) {
        expect((parseJson(number) as number).toString()).toBe(number);
      }
    },
  );

  test("is read from text of any depth, and malformed text is refused", () => {
    expect(() => parseJson("[".repeat(100_000) + "1e400" + "]".repeat(100_000))).not.toThrow();
    expect(() => parseJson("[1e400")).toThrow(SyntaxError);
    expect(Object.hasOwn(parseJson('{"__proto__":1e400}') as object, "__proto__")).toBe(true);
  });
});
