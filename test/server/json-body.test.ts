import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseJsonBody } from "../../src/server/json-body.ts";

const parse = (text: string): unknown => parseJsonBody(Buffer.from(text), { depth: 32 });
const nested = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);

describe("a JSON body", () => {
  test("is parsed like JSON.parse, for any value without forbidden keys", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!text.includes("__proto__") && !text.includes("constructor"));
        expect(parse(text)).toStrictEqual(JSON.parse(text));
      }),
    );
  });

  test.each(["", " ", "{", "nul", "{'a':1}", "[1,]", '{"a":1}x', "\uFEFF{}", '"\n"', "01", "+1", "NaN"])(
    "is refused if it is %j",
    (text) => {
      expect(() => parse(text)).toThrow(expect.objectContaining({ statusCode: 400 }));
    },
  );

  test("is refused if it is not UTF-8 (hazard 3)", () => {
    const body = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff, 0xc0]), Buffer.from('"}')]);
    expect(() => parseJsonBody(body, { depth: 32 })).toThrow("The request body is not valid UTF-8");
  });

  test("may be nested to the limit and no deeper, even with 500,000 levels (hazard 8)", () => {
    expect(parse(nested(32))).toBeDefined();
    for (const levels of [33, 100, 5000, 100_000, 500_000]) {
      expect(() => parse(nested(levels))).toThrow("The request body is nested deeper than 32 levels");
    }
  });

  test("may contain any number of brackets that are not nested", () => {
    expect(parse(`[${Array.from({ length: 500 }, () => "{}").join()}]`)).toHaveLength(500);
    expect(parse(JSON.stringify({ a: "[".repeat(500) }))).toEqual({ a: "[".repeat(500) });
  });

  test.each([
    '{"__proto__":{"x":1}}',
    '{"\\u005f_proto__":{"x":1}}',
    '{"\\u005F\\u005fproto\\u005f_":1}',
    '{"a":[{"__proto__":null}]}',
    '{"constructor":{"prototype":{"x":1}}}',
    '{"\\u0063onstructor":{"prototyp\\u0065":1}}',
  ])("is refused with a key that reaches for prototypes: %s", (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ statusCode: 400 }));
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
  });

  test("may mention prototypes in its texts, and have a plain key constructor", () => {
    expect(parse('{"a":"__proto__","constructor":"x"}')).toEqual({ a: "__proto__", constructor: "x" });
  });

  test("is not judged by the content of a call's arguments", () => {
    for (const inner of [nested(5000), '{"__proto__":1}', '{"constructor":{"prototype":1}}']) {
      expect(() => parse(`{"tool_calls":[{"id":"1","function":{"arguments":${inner}}}]}`)).not.toThrow();
    }
    expect(() => parse(`{"arguments":{"__proto__":1},"b":{"__proto__":1}}`)).toThrow();
  });
});
