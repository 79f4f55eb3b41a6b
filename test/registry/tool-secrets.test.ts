import { describe, expect, test } from "vitest";
import { createRedact, secretsOf } from "../../src/registry/tool-secrets.ts";

const secret = { type: "string", secret: true };

describe("the secrets of a configuration", () => {
  test.each<[string, object, object]>([
    ["in a member", { a: "s" }, { properties: { a: secret } }],
    ["in a member with members", { a: { b: "s" } }, { properties: { a: { properties: { b: secret } } } }],
    ["in a list", { a: ["s"] }, { properties: { a: { items: secret } } }],
    ["in a tuple", ["open", "s"], { prefixItems: [{}, secret] }],
    ["in a draft-07 tuple", ["open", "s"], { items: [{}], additionalItems: secret }],
    ["in a map", { any: "s" }, { additionalProperties: secret }],
    ["in a map of patterns", { "x-key": "s" }, { patternProperties: { "^x-": secret } }],
    [
      "in an alternative, as a nullable member has them",
      { a: "s" },
      { properties: { a: { anyOf: [secret, { type: "null" }] } } },
    ],
    ["in one of several schemas", { a: "s" }, { allOf: [{ oneOf: [{ properties: { a: secret } }] }] }],
    ["in a condition", { a: "s" }, { if: {}, else: { properties: { a: secret } } }],
    ["behind a reference", { a: "s" }, { properties: { a: { $ref: "#/$defs/a~1b" } }, $defs: { "a/b": secret } }],
    ["below a secret object", { a: { b: ["s"] } }, { properties: { a: { secret: true } } }],
  ])("are found %s", (_where, config, schema) => {
    expect(secretsOf(config, schema as never)).toEqual(["s"]);
  });

  test("are found in recursive schemas, which end", () => {
    const tree = { properties: { key: secret, next: { $ref: "#" } }, allOf: [{ $ref: "#" }, { $ref: "#/$defs/loop" }] };
    const schema = { ...tree, $defs: { loop: { anyOf: [{ $ref: "#/$defs/loop" }] } } };
    expect(secretsOf({ key: "one", next: { key: "two" } }, schema as never)).toEqual(["one", "two"]);
  });

  test("are none without a schema, a value or a mark", () => {
    expect(secretsOf({ a: "s" }, undefined)).toEqual([]);
    expect(secretsOf({ a: null }, { properties: { a: secret } })).toEqual([]);
    expect(secretsOf({ a: "s" }, { properties: { a: {} }, $ref: "#/nowhere" })).toEqual([]);
  });
});

test("secrets are removed from a text, also escaped, the longest first", () => {
  const redact = createRedact(["abcd", 'abcd"ef', "abc"]);
  expect(redact('abcd abcd\\"ef abcd"ef abc')).toBe("[secret] [secret] [secret] abc");
});
