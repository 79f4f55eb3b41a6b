import { describe, expect, test } from "vitest";
import { compileSchema } from "../../src/schema/compile-schema.ts";
import { aCall, aTool, startExecutor, requestIn } from "../support/executor.ts";
import { testRequirement } from "../support/test-requirement.ts";

const latest = "https://json-schema.org/draft/2020-12/schema";
const faults = (schema: object, value: unknown) =>
  compileSchema(schema as never)(value).map(({ path, message }) => `${path}: ${message}`);
const object = (properties: object, more: object = {}) => ({ type: "object", properties, ...more });

test.each<[number, number[], number[]]>([
  [0.01, [0, 0.07, 0.29, 4.35, 19.99, -19.99, 1e22, 90_071_992_547.41], [0.001, 19.995, 1e-9]],
  [0.0001, [0.0075, 1.1], [0.00751]],
  [0.5, [1e308, 2.5], [2.25]],
  [0.123456789, [0.123456789, 0.246913578], [1e308, 0.2]],
  [3, [0, 9, -9, 9_007_199_254_740_990], [1, 2.5, 9_007_199_254_740_991]],
  [1e-300, [1e300, 5e-300], [5e-301]],
])("multipleOf %s is decided by decimal digits, not by division of doubles", (multipleOf, multiples, others) => {
  const validate = compileSchema({ multipleOf });
  expect(multiples.filter((value) => validate(value).length > 0)).toEqual([]);
  expect(others.filter((value) => validate(value).length === 0)).toEqual([]);
  expect(validate(others[0]!)[0]?.message).toBe(`must be multiple of ${multipleOf}`);
});

describe("validation", () => {
  testRequirement(
    ["001.4", "002.4"],
    "reports every violation with its path, in words with which a model can correct its call",
    async () => {
      const inputSchema = object(
        {
          id: { type: "string", minLength: 3 },
          priority: { enum: ["low", "high", 3] },
          kind: { const: "x" },
          at: { type: "string", format: "date" },
        },
        { required: ["id", "priority"], additionalProperties: false },
      );
      await using app = await startExecutor([aTool({ inputSchema, execute: () => 1 })]);
      const result = await app.executor.execute(aCall({ id: "a", kind: "y", at: "soon", extra: 1 }), requestIn());
      expect(result.output).toBe(
        "Schema validation failed for work: : must have required property 'priority', : must NOT have additional properties: extra, " +
          '/id: must NOT have fewer than 3 characters, /kind: must be equal to constant: x, /at: must match format "date"',
      );
      expect(result.error?.violations).toHaveLength(5);
      const other = await app.executor.execute(aCall({ id: "abc", priority: "x" }), requestIn());
      expect(other.output).toBe(
        "Schema validation failed for work: /priority: must be equal to one of the allowed values: low, high, 3",
      );
    },
  );

  testRequirement(["003.4", "002.2"], "follows draft-07, or 2020-12 if $schema says so", () => {
    const tuple = { type: "object", properties: { a: { items: [{ type: "string" }] } } };
    expect(faults(tuple, { a: [1] })).toEqual(["/a/0: must be string"]);
    expect(faults({ $schema: "http://json-schema.org/draft-07/schema#", ...tuple }, { a: [1] })).toHaveLength(1);
    const prefix = { $schema: latest, type: "object", properties: { a: { prefixItems: [{ type: "string" }] } } };
    expect(faults(prefix, { a: [1] })).toEqual(["/a/0: must be string"]);
    expect(
      faults({ $schema: latest, type: "object", properties: { a: {} }, unevaluatedProperties: false }, { b: 1 })[0],
    ).toMatch(/: b$/);
    expect(() => compileSchema({ $schema: "http://json-schema.org/draft-04/schema#" })).toThrow(
      "only draft-07 and 2020-12 are supported",
    );
  });

  test("requires properties of the object itself, not of its prototype", () => {
    for (const name of ["constructor", "toString", "hasOwnProperty", "valueOf"]) {
      expect(faults({ type: "object", properties: { [name]: {} }, required: [name] }, {})).toEqual([
        `: must have required property '${name}'`,
      ]);
      expect(faults({ type: "object", properties: { [name]: {} }, required: [name] }, { [name]: 1 })).toEqual([]);
    }
  });

  test("takes linear time for patterns and for unique items", () => {
    const pattern = compileSchema(object({ a: { type: "string", pattern: "^(a+)+$" } }));
    const unique = compileSchema(object({ a: { type: "array", uniqueItems: true } }));
    // With a backtracking pattern, and if each item were compared with each, this would exceed the test's time.
    const many = Array.from({ length: 100_000 }, (_, id) => ({ id, name: "x" }));
    expect(pattern({ a: `${"a".repeat(60)}!` })).toHaveLength(1);
    expect(pattern({ a: "a".repeat(60) })).toHaveLength(0);
    const bytes = JSON.stringify(many).length;
    expect(unique({ a: many }, bytes)).toHaveLength(0);
    expect(unique({ a: [...many, { name: "x", id: 7 }] }, bytes)).toMatchObject([
      { path: "/a", message: "must NOT have duplicate items" },
    ]);
    expect(faults(object({ a: { uniqueItems: true } }), { a: [1, "1", [1], { a: 1 }, null] })).toEqual([]);
  });

  test("applies every one of several patterns, with JavaScript's syntax", () => {
    const schema = object({ a: { pattern: "^a$" }, b: { pattern: "^b$" }, c: { pattern: "^\\u00e9\\/(?<n>\\d)$" } });
    expect(faults(schema, { a: "a", b: "b", c: "é/1" })).toEqual([]);
    expect(faults(schema, { a: "b", b: "a", c: "e/1" }).map((fault) => fault.slice(0, 2))).toEqual(["/a", "/b", "/c"]);
  });

  test("counts characters, not code units", () => {
    expect(faults(object({ a: { maxLength: 2 } }), { a: "😀😀" })).toEqual([]);
  });

  test("reports at most 20 violations of one value, and survives extreme nesting", () => {
    expect(faults(object({ a: { items: { type: "string" } } }), { a: Array(50_000).fill(1) })).toHaveLength(20);
    const tree = { type: "object", properties: { a: { $ref: "#" } } };
    const deep = JSON.parse('{"a":'.repeat(50_000) + "1" + "}".repeat(50_000)) as object;
    expect(faults(tree, deep)).toEqual([": is nested too deeply for the schema"]);
  });
});

describe("a schema is refused with a message", () => {
  test.each([
    ["look-ahead", object({ a: { pattern: "^(?=x)" } }), "patterns may use neither look-around nor back-references"],
    [
      "a back-reference",
      object({ a: { pattern: "(a)\\1" } }),
      "patterns may use neither look-around nor back-references",
    ],
    ["a pattern that is none", object({ a: { pattern: "(" } }), "error parsing regexp"],
    [
      "a foreign reference",
      object({ a: { $ref: "http://169.254.169.254/x" } }),
      "only references within the schema are supported",
    ],
    ["a reference to nothing", object({ a: { $ref: "#/definitions/x" } }), "can't resolve reference #/definitions/x"],
    [
      "an odd type",
      object({ a: { type: "dict" } }),
      '/properties/a/type is "dict", which is not a JSON Schema type: use object',
    ],
    ["an unknown type", object({ a: { type: "thing" } }), '"thing", which is not a JSON Schema type'],
    [
      "a required name it does not have",
      object({ a: {} }, { required: ["b"] }),
      '/required names "b", which is not in properties',
    ],
    ["a required name of a prototype", object({ a: {} }, { required: ["toString"] }), '/required names "toString"'],
    [
      "too many properties",
      object(Object.fromEntries(Array.from({ length: 4000 }, (_, key) => [`k${key}`, {}]))),
      "more than 2000 properties",
    ],
    ["a number beyond all doubles", object({ a: { maximum: Number.POSITIVE_INFINITY } }), "its numbers must be finite"],
    ["one in a default", object({ a: { default: { b: [Number.NEGATIVE_INFINITY] } } }), "its numbers must be finite"],
    ["one under an unknown keyword", { "x-limits": [Number.NaN] }, "its numbers must be finite"],
  ])("for %s", (_what, schema, words) => {
    expect(() => compileSchema(schema as never)).toThrow(words);
  });

  test("for thousands of levels, quickly", () => {
    let schema: object = {};
    for (let level = 0; level < 2000; level++) schema = { properties: { a: schema } };
    expect(() => compileSchema(schema as never)).toThrow("it is nested deeper than 32 levels");
  });
});
