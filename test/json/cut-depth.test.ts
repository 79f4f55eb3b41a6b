import * as fc from "fast-check";
import { expect, test } from "vitest";
import { cutDepth } from "../../src/json/cut-depth.ts";

const cut = (text: string) => Buffer.from(cutDepth(Buffer.from(text))).toString();
const lists = (levels: number) => "[".repeat(levels) + "]".repeat(levels);

test("a text of at most a thousand levels is unchanged, whatever its strings contain", () => {
  for (const text of [lists(1000), `[${lists(999)},${lists(999)}]`, JSON.stringify('[{\\"'.repeat(2000))]) {
    expect(cut(text)).toBe(text);
  }
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify([value, "x".repeat(2000)]);
      expect(cut(text)).toBe(text);
    }),
  );
});

test("deeper parts are removed, and their siblings stay", () => {
  expect(cut(lists(100_000))).toBe(lists(1000));
  const objects = (levels: number, inner: string) => `${'{"a":'.repeat(levels - 1)}{${inner}}${"}".repeat(levels - 1)}`;
  const around = (deep: string) => `{"before":"\\"[","list":[${deep},7,${deep}],"after":[1]}`;
  expect(cut(around(objects(5000, '"]}":1')))).toBe(around(objects(998, "")));
});

test("a text with unbalanced brackets does not become valid JSON", () => {
  for (const text of [
    "[".repeat(5000),
    `${lists(5000)}]`,
    `[${lists(5000)}`,
    `${"]".repeat(3000)}${"[".repeat(3000)}`,
  ]) {
    expect(() => void JSON.parse(cut(text))).toThrow(SyntaxError);
  }
});
