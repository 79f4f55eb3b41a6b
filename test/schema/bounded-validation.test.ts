import { describe, expect, test } from "vitest";
import type { JsonSchema } from "../../src/plugin/tool.ts";
import { compileSchema } from "../../src/schema/compile-schema.ts";
import { testRequirement } from "../support/test-requirement.ts";

const many = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));
const withA = (a: object, more: object = {}): JsonSchema => ({ type: "object", properties: { a }, ...more });
const keys = Object.fromEntries(many(20_000, (index) => [`k${index}`, 1]));
const numbers = { a: Array<number>(125_000).fill(1000) };
const tooMuch = "takes too long to check against the schema: send less at once";

/** Schemas that refer to the next of a chain twice, so that each link doubles the cost. */
function chain(keyword: "anyOf" | "allOf" | "oneOf", leaf: object): JsonSchema {
  const link = (to: number): object => ({
    [keyword]: [{ $ref: `#/definitions/d${to}` }, { $ref: `#/definitions/d${to}` }],
  });
  const links = many(28, (index): [string, object] => [`d${index}`, link(index + 1)]);
  return withA({ $ref: "#/definitions/d0" }, { definitions: { ...Object.fromEntries(links), d28: leaf } });
}

const tree = { $ref: "#/definitions/tree" };
const recursive = withA(tree, {
  definitions: {
    tree: { oneOf: [{ type: "array", items: tree }, { type: "array", items: tree }, { type: "string" }] },
  },
});

/** Schemas and arguments of at most 262,144 bytes that took seconds or all memory, or whose cost is their product. */
const hostile: Record<string, [JsonSchema, object]> = {
  "a chain of anyOf": [chain("anyOf", { type: "string" }), { a: 1 }],
  "a chain of allOf": [chain("allOf", { type: "number" }), { a: 1 }],
  "a chain of oneOf": [chain("oneOf", { type: "string" }), { a: 1 }],
  "a recursive oneOf": [recursive, { a: JSON.parse(`${"[".repeat(24)}1${"]".repeat(24)}`) as unknown }],
  "250 constants for each item, none of which fits": [
    withA({ items: { oneOf: many(250, (index) => ({ const: index })) } }, { definitions: { x: { $ref: "#" } } }),
    numbers,
  ],
  "250 constants for each item, one of which fits": [
    withA({ items: { oneOf: many(250, (index) => ({ const: index + 900 })) } }),
    numbers,
  ],
  "a referenced schema that no item fits, in a branch": [
    withA({ anyOf: [{ items: { $ref: "#/definitions/x" } }] }, { definitions: { x: { type: "string" } } }),
    numbers,
  ],
  "patterns for each property name": [
    {
      type: "object",
      patternProperties: Object.fromEntries(many(250, (index) => [`^p${index}(a|b)`, { type: "number" }])),
    },
    keys,
  ],
  "simple patterns for each property name": [
    { type: "object", patternProperties: Object.fromEntries(many(250, (index) => [`^p${index}`, { type: "number" }])) },
    keys,
  ],
  "thousands of properties for each empty item": [
    withA({ items: { properties: Object.fromEntries(many(1900, (index) => [`p${index}`, { type: "string" }])) } }),
    { a: many(87_000, () => ({})) },
  ],
  "unique items in each branch": [
    withA({ allOf: many(256, () => ({ uniqueItems: true })) }),
    { a: many(20_000, (index) => ({ index })) },
  ],
  "a large object as constant of each branch": [
    withA({ anyOf: many(256, (index) => ({ enum: [{ index }] })) }),
    { a: keys },
  ],
  "unevaluated properties after many branches": [
    {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      anyOf: many(256, () => ({ patternProperties: { "^k": { type: "number" } } })),
      unevaluatedProperties: false,
    },
    keys,
  ],
  "a property name of 240,000 characters in each branch": [
    withA(
      {},
      {
        allOf: many(256, () => ({ additionalProperties: { $ref: "#/definitions/x" } })),
        definitions: { x: { type: "number" } },
      },
    ),
    { ["k/~".repeat(80_000)]: 1 },
  ],
  "a pattern of ever new states": [
    withA({ pattern: "(?:a|b)*a(?:a|b){200}c" }),
    { a: `c${many(200_000, (at) => ((at * at * 2_654_435_761) % 7 < 3 ? "a" : "b")).join("")}` },
  ],
};

describe("a value whose check would exceed the budget of its size and the schema's", () => {
  for (const [what, [schema, value]] of Object.entries(hostile)) {
    testRequirement("002.4", `is refused with a message: ${what} (hazards 40 and 45)`, () => {
      const validate = compileSchema(schema);
      const bytes = JSON.stringify(value).length;
      expect(bytes).toBeLessThan(630_000);
      // Without limits one round takes seconds or minutes: many rounds fit into the test's time only if each is limited.
      for (let round = 0; round < 40; round++) {
        const violations = validate(value, bytes);
        expect(violations.at(-1)).toMatchObject({ path: "", message: tooMuch });
        expect(JSON.stringify(violations).length).toBeLessThan(100_000);
      }
    });
  }

  test("is reported with the first violations that are certain", () => {
    const schema = withA(
      { items: { oneOf: many(250, (index) => ({ const: index + 900 })) } },
      { required: ["b"], patternProperties: {} },
    );
    const violations = compileSchema(schema)(numbers);
    expect(violations.map(({ message }) => message)).toEqual(["must have required property 'b'", tooMuch]);
  });

  test("has a larger budget if it is larger", () => {
    const validate = compileSchema(withA({ items: { oneOf: many(40, (index) => ({ const: index })) } }));
    const value = { a: Array<number>(20_000).fill(5) };
    expect(validate(value, 100)).toMatchObject([{ message: tooMuch }]);
    expect(validate(value, 4_000_000)).toEqual([]);
  });
});

describe("a value of the maximum size", () => {
  const large: Record<string, [JsonSchema, object, number]> = {
    "numbers that fit": [withA({ items: { type: "number", minimum: 0, maximum: 5000 } }), numbers, 0],
    "numbers of which none fits": [withA({ items: { type: "string" } }), numbers, 20],
    "numbers that no constant fits": [
      withA({ items: { oneOf: many(250, (index) => ({ const: index })) } }),
      numbers,
      20,
    ],
    "records that fit": [
      withA({
        items: { type: "object", properties: { id: { type: "integer" }, name: { type: "string", maxLength: 9 } } },
      }),
      { a: many(8000, (id) => ({ id, name: "0123456" })) },
      0,
    ],
    "unique items": [withA({ uniqueItems: true }), { a: many(20_000, (id) => ({ id })) }, 0],
    "a text that a pattern fits": [withA({ pattern: "^(?:foo|bar)+$" }), { a: "foobar".repeat(43_000) }, 0],
    "a text for which a pattern is exponential elsewhere": [
      withA({ pattern: "^(a+)+$" }),
      { a: `${"a".repeat(262_000)}!` },
      1,
    ],
    "an address of colons": [withA({ format: "url" }), { a: `http://${":".repeat(250_000)}` }, 1],
    "property names that no value of an enum fits": [
      { type: "object", propertyNames: { enum: many(100, (index) => `n${index}`) } },
      Object.fromEntries(many(2000, (index) => [`k${index}`, 1])),
      2,
    ],
  };
  for (const [what, [schema, value, count]] of Object.entries(large)) {
    test(`is checked to its end: ${what}`, () => {
      const validate = compileSchema(schema);
      const bytes = JSON.stringify(value).length;
      for (let round = 0; round < 40; round++) {
        const violations = validate(value, bytes);
        expect(violations.map(({ message }) => message)).not.toContain(tooMuch);
        expect(violations.length).toBe(count);
      }
    });
  }
});
