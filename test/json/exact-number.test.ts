import * as fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
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
  "9999999e9",
  "1e16",
  "1.2345e-320",
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
  "50e-325",
  "0e-999",
  "0.00e99",
  "999999e9",
  "1E+15",
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

  test.each(["[1e400]", "1e400", '{"a":1e400}', "[1,1e400]", '{"a": \t\n\r1e400 }', "[-1e400]", "[ 1e400]"])(
    "is found wherever a number can be: %s",
    (text) => {
      expect(JSON.stringify(parseJson(text)).replaceAll(/\s/g, "")).toBe(text.replaceAll(/\s/g, ""));
    },
  );

  test("is not looked for in ids, whose parser would take several times as long", () => {
    using parse = vi.spyOn(JSON, "parse");
    const id = "c0ffee12-3456-7890-1234-567890123456";
    expect(parseJson(JSON.stringify({ [id]: "12e345678901234567890", list: ["1e22"] }))).toHaveProperty(id);
    expect(parse.mock.calls.map(({ length }) => length)).toEqual([1]);
  });

  property([fc.nat(), fc.nat(), fc.integer({ min: -330, max: 20 })])(
    "with an exponent is plain exactly if its digits are those of the double",
    (whole, fraction, exponent) => {
      const text = `${whole % 1000}.${fraction}e${exponent}`;
      const value = parseJson(text);
      const written = String(Number(text));
      const isSame = Math.abs(Number(text)) <= Number.MAX_SAFE_INTEGER && sameDecimal(written, text);
      expect(value instanceof ExactNumber).toBe(!isSame);
    },
  );

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

/** Compares two numbers exactly, by integers. */
function sameDecimal(left: string, right: string): boolean {
  const [scaledLeft, scaledRight] = [left, right].map((text) => {
    const [mantissa = "", exponent = "0"] = text.split("e");
    const [whole = "", fraction = ""] = mantissa.split(".");
    return BigInt(whole + fraction) * 10n ** BigInt(400 + Number(exponent) - fraction.length);
  });
  return scaledLeft === scaledRight;
}
