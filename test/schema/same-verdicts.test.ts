import { Ajv } from "ajv";
import * as formats from "ajv-formats";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JsonSchema } from "../../src/plugin/tool.ts";
import { createSchemaCompiler } from "../../src/schema/compile-schema.ts";
import { isUrl } from "../../src/schema/formats.ts";
import { meterCode } from "../../src/schema/metered-code.ts";

const name = fc.constantFrom("a", "b", "for (", 'q"', "x/y", "if(");
const scalar = fc.oneof(
  fc.integer({ min: -3, max: 5 }),
  fc.constantFrom("", "a", "ab", "é", "😀b", "for(;;){", "}errors++;", '"', "\\", null, true, 1.5),
);
const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    scalar,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(name, tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value;

const size = fc.integer({ min: 0, max: 3 });
const { schema } = fc.letrec<{ schema: object; keyword: object }>((tie) => {
  const branches = fc.array(tie("schema"), { minLength: 1, maxLength: 3 });
  return {
    keyword: fc.oneof(
      { depthSize: "small" },
      fc.record({
        type: fc.constantFrom("string", "number", "integer", "object", "array", "null", ["string", "null"]),
      }),
      fc.record({ maxLength: size }),
      fc.record({ minLength: size }),
      fc.record({ pattern: fc.constantFrom("^a", "(a|b)+", "b$", "^.{1,2}$") }),
      fc.record({ format: fc.constantFrom("date", "email", "url", "uri", "ipv4") }),
      fc.record({ minimum: size }),
      fc.record({ multipleOf: fc.constantFrom(0.5, 1, 2, 3) }),
      fc.record({ enum: fc.uniqueArray(value, { minLength: 1, maxLength: 4, comparator: "SameValueZero" }) }),
      fc.record({ const: value }),
      fc.record({ uniqueItems: fc.boolean() }),
      fc.record({ minItems: size }),
      fc.record({ maxProperties: size }),
      fc.record({ minProperties: size }),
      fc.record({ items: tie("schema") }),
      fc.record({ contains: tie("schema") }),
      fc.record({ properties: fc.dictionary(name, tie("schema"), { maxKeys: 3, noNullPrototype: true }) }),
      fc.record({
        patternProperties: fc.dictionary(fc.constantFrom("^a", "(x|b)"), tie("schema"), {
          maxKeys: 2,
          noNullPrototype: true,
        }),
      }),
      fc.record({ additionalProperties: fc.oneof(fc.boolean(), tie("schema")) }),
      fc.record({ propertyNames: tie("schema") }),
      fc.record({
        dependencies: fc.dictionary(name, fc.oneof(fc.uniqueArray(name), tie("schema")), {
          maxKeys: 2,
          noNullPrototype: true,
        }),
      }),
      fc.record({ anyOf: branches }),
      fc.record({ oneOf: branches }),
      fc.record({ allOf: branches }),
      fc.record({ not: tie("schema") }),
      fc
        .tuple(tie("schema"), tie("schema"), tie("schema"))
        .map((parts) => Object.fromEntries(["if", "then", "else"].map((keyword, index) => [keyword, parts[index]]))),
      fc.constant({ $ref: "#/definitions/shared" }),
    ),
    schema: fc.array(tie("keyword"), { maxLength: 3 }).map((keywords) => Object.assign({}, ...keywords) as object),
  };
});

const reference = new Ajv({ allErrors: true, ownProperties: true, strict: false, logger: false });
formats.default.default(reference);
const compileSchema = createSchemaCompiler();

/** Returns Ajv's own verdict on a value, with the settings of the service. */
function verdictOfAjv(root: object, data: unknown): { isValid: boolean; errors: Set<string> } {
  const validate = reference.compile(root);
  const isValid = validate(data);
  return { isValid, errors: new Set((validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`)) };
}

test("a schema has the verdicts and the messages of Ajv, whatever it consists of (hazard 17)", () => {
  fc.assert(
    fc.property(schema, schema, value, (root, shared, data) => {
      const whole = { ...root, definitions: { shared } } as JsonSchema;
      let expected: ReturnType<typeof verdictOfAjv>;
      try {
        expected = verdictOfAjv(whole, data);
      } catch (error) {
        // A reference to itself, which never ends, or a schema that Ajv cannot compile.
        if (error instanceof RangeError || /^schema is invalid|already exists/.test((error as Error).message)) return;
        throw error;
      }
      const violations = compileSchema(whole)(data);
      expect(violations.length === 0).toBe(expected.isValid);
      for (const { path, message } of violations) {
        const known = [...expected.errors].some((error) =>
          `${path} ${message}`.startsWith(error.replace(/items \(.*/, "items")),
        );
        expect(known, `${path} ${message} is not among ${[...expected.errors].join("; ")}`).toBe(true);
      }
      expect(violations.length).toBeGreaterThanOrEqual(Math.min(1, expected.errors.size));
    }),
    { numRuns: 300 },
  );
});

describe("the generated code of a schema", () => {
  test("is metered in its functions, its loops and its errors, and its strings are unchanged", () => {
    const codes: string[] = [];
    const ajv = new Ajv({
      allErrors: true,
      ownProperties: true,
      strict: false,
      inlineRefs: false,
      code: { process: (code) => (codes.push(code), code) },
    });
    const trap = 'for (const x of y) {vErrors.push(err0);}errors++; \\" Object.keys(';
    ajv.compile({
      type: "object",
      properties: { [trap]: { enum: [trap, 1] }, list: { items: { $ref: "#/definitions/x" } } },
      additionalProperties: { type: "number" },
      definitions: { x: { patternProperties: { "^a": { const: trap } } } },
    });
    const before = codes.at(-1) ?? "";
    const after = meterCode(before);
    const count = (text: string, part: RegExp): number =>
      text.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""').match(part)?.length ?? 0;
    expect(count(after, /meter\.left -=/g)).toBe(count(before, /\bfor\(|\bfunction\b/g));
    expect(count(before, /\bfor\(/g)).toBeGreaterThan(1);
    expect(count(after, /meter\.report\(err\d+, errors\)/g)).toBe(count(before, /errors\+\+/g));
    expect(count(after, /meter\.join\(/g)).toBe(count(before, /\.concat\(/g));
    expect(count(after, /Object\.keys|\.concat\(|\.replace\(/g)).toBe(0);
    const strings = (text: string): string[] => text.match(/"(?:[^"\\]|\\.)*"/g) ?? [];
    expect(strings(after).filter((text) => text.includes("for"))).toEqual(
      strings(before).filter((text) => text.includes("for")),
    );
  });
});

test("the format url accepts what the pattern of ajv-formats accepts", () => {
  const ajv = new Ajv({ strict: false });
  formats.default.default(ajv);
  const theirs = ajv.compile({ format: "url" });
  const part = fc.constantFrom(
    "a",
    "b.c",
    "1",
    "10.",
    "192.168.",
    ":",
    "@",
    "/",
    ".",
    "-",
    "http://",
    "é",
    " ",
    "80",
    "A",
  );
  const text = fc.tuple(
    fc.constantFrom("http://", "ftp://a.com", "https://a@", "http://a.bc/x@", ""),
    fc.string({ unit: part, maxLength: 12 }),
  );
  fc.assert(
    fc.property(text, ([start, rest]) => {
      expect(isUrl(start + rest)).toBe(theirs(start + rest));
    }),
    { numRuns: 3000 },
  );
});
