import * as fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson } from "../../src/json/canonical.ts";
import { type ExactJson, ExactNumber } from "../../src/json/exact-number.ts";

/** Returns the value with the keys of every object in another order. */
function turned(value: ExactJson): ExactJson {
  if (typeof value !== "object" || value === null || value instanceof ExactNumber) return value;
  if (Array.isArray(value)) return value.map(turned);
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, member]): [string, ExactJson] => [key, turned(member)])
      .toReversed(),
  );
}

/** Sorts keys at every level in the simplest way. */
function simple(value: ExactJson): string {
  if (typeof value !== "object" || value === null || value instanceof ExactNumber) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(simple).join(",")}]`;
  const members = Object.keys(value).toSorted();
  return `{${members.map((key) => `${JSON.stringify(key)}:${simple(value[key] as ExactJson)}`).join(",")}}`;
}

const json = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as ExactJson);

test("equal values have equal texts, with the keys of every object sorted", () => {
  fc.assert(
    fc.property(json, (value) => {
      expect(canonicalJson(value)).toBe(simple(value));
      expect(canonicalJson(turned(value))).toBe(simple(value));
    }),
  );
});

test("keys that are whole numbers are sorted as texts, and exact numbers are written as they were read", () => {
  const value = { "9": new ExactNumber("9007199254740993"), "10": [1, { b: 1, a: 2 }, 2, 3] };
  expect(canonicalJson(value)).toBe('{"10":[1,{"a":2,"b":1},2,3],"9":9007199254740993}');
});

test("a number beyond all doubles is preserved, wherever it is", () => {
  const far = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];
  expect(canonicalJson({ a: far, b: { c: far[0] as number } })).toBe('{"a":[1e999,1e999,1e999],"b":{"c":1e999}}');
});

test("a value whose last keys are out of order is read a few times, however deeply it is nested (hazard 1)", () => {
  let reads = 0;
  const last: ExactJson = { b: 1, a: 1 };
  const watched = Object.defineProperty({}, "a", { enumerable: true, get: () => ((reads += 1), 1) }) as ExactJson;
  let value: ExactJson = [watched, last];
  for (let level = 0; level < 30; level += 1) value = { a: value };
  expect(canonicalJson(value)).toContain('[{"a":1},{"a":1,"b":1}]');
  expect(reads).toBeLessThan(5);
});
