import * as fc from "fast-check";
import { expect } from "vitest";
import { expectConnectError, expectNotOurFault, json } from "../answers.ts";
import { argumentsText, objectText, salt, utf8 } from "../arbitraries.ts";
import type { Door } from "../door.ts";
import type { FuzzRequest } from "../exchange.ts";
import { jsonText, nested } from "../../support/hostile-json.ts";
import { key } from "../service.ts";

const pattern = fc.oneof(
  fc.constantFrom(
    "^(a+)+$",
    "(",
    "(?<=a)b",
    "(a)\\1",
    "^[A-Z]{2,4}-\\d{3,6}$",
    "(x|i){0,900}$",
    "(?:a|b)*a(?:a|b){200}c",
    "\\p{L}+",
    "",
  ),
  fc.string({ maxLength: 30 }),
);
const small = fc.oneof(fc.nat({ max: 40 }), fc.constantFrom(-1, 1e9, 0.5));

/** Schemas as JSON values: keywords with right and wrong operands, references to themselves, many branches. */
const { schema } = fc.letrec<{ schema: unknown; list: unknown; map: unknown; leaf: unknown }>((tie) => ({
  list: fc.oneof(
    fc.array(tie("schema"), { maxLength: 4, depthIdentifier: "schema" }),
    // One branch many times, and a small one: some of the nested lists would not fit into memory.
    fc.tuple(tie("leaf"), fc.integer({ min: 1, max: 300 })).map(([one, times]) => Array<unknown>(times).fill(one)),
  ),
  map: fc.dictionary(
    fc.oneof(fc.constantFrom("a", "b", "", "__proto__", "constructor"), fc.string({ maxLength: 8 })),
    tie("schema"),
    {
      maxKeys: 4,
      depthIdentifier: "schema",
    },
  ),
  leaf: fc.constantFrom<unknown>(
    {},
    true,
    false,
    { type: "string" },
    { type: "object" },
    { $ref: "#" },
    { $ref: "#/$defs/a" },
    { $ref: "x" },
    null,
    1,
  ),
  schema: fc.oneof(
    { depthSize: "small", depthIdentifier: "schema", withCrossShrink: true },
    tie("leaf"),
    fc.record(
      {
        $schema: fc.constantFrom(
          "http://json-schema.org/draft-07/schema#",
          "https://json-schema.org/draft/2020-12/schema",
          "x",
        ),
        type: fc.constantFrom("object", "array", "string", "number", "integer", "dict", ["string", "null"], 7),
        properties: tie("map"),
        patternProperties: fc.dictionary(pattern, tie("schema"), { maxKeys: 3 }),
        additionalProperties: tie("schema"),
        propertyNames: tie("schema"),
        required: fc.array(fc.constantFrom<unknown>("a", "b", 1), { maxLength: 3 }),
        items: fc.oneof(tie("schema"), tie("list")),
        prefixItems: tie("list"),
        contains: tie("schema"),
        anyOf: tie("list"),
        allOf: tie("list"),
        oneOf: tie("list"),
        not: tie("schema"),
        if: tie("schema"),
        $defs: tie("map"),
        $ref: fc.constantFrom("#", "#/$defs/a", "#/properties/a", "file:///etc/passwd", "#/$defs/none"),
        enum: fc.array(fc.jsonValue({ maxDepth: 1 }), { maxLength: 5 }),
        const: fc.jsonValue({ maxDepth: 1 }),
        format: fc.constantFrom("url", "uri", "email", "date-time", "regex", "ipv6", "json-pointer", "x"),
        pattern,
        minLength: small,
        maxItems: small,
        uniqueItems: fc.boolean(),
        minProperties: small,
        multipleOf: fc.constantFrom(0, 0.01, 3, -1),
        default: fc.jsonValue({ maxDepth: 2 }),
        description: fc.string(),
        unevaluatedProperties: tie("schema"),
        dependentSchemas: tie("map"),
      },
      { requiredKeys: [] },
    ),
  ),
}));

/** Schemas that mostly have the form that a tool's must have. */
const inputSchema: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(schema, schema)
      .map(([a, more]) =>
        JSON.stringify({ ...(typeof more === "object" ? more : {}), type: "object", properties: { a, b: {} } }),
      ),
  },
  { weight: 2, arbitrary: schema.map((one) => JSON.stringify(one)) },
  { weight: 1, arbitrary: jsonText },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 5000 }).map(nested) },
);

const rpc = (method: string, body: string): FuzzRequest => ({
  method: "POST",
  path: `/jackfield.v1.${method}`,
  headers: [
    ["content-type", "application/json"],
    ["authorization", `Bearer ${key}`],
  ],
  body: utf8(body),
});

const header = fc.dictionary(fc.string({ maxLength: 12 }), fc.string({ maxLength: 30 }), { maxKeys: 3 });

/** The destination of calls: the existing target, or anything. `TARGET` is replaced by its URL. */
const target = fc.oneof(
  { weight: 6, arbitrary: fc.constant('{"http":{"url":"TARGET"}}') },
  {
    weight: 1,
    arbitrary: fc
      .record({
        url: fc.oneof(
          fc.constantFrom("TARGET", "http://[::1]/", "http://169.254.169.254/", "x:"),
          fc.webUrl(),
          fc.string(),
        ),
        headers: header,
      })
      .map((http) => JSON.stringify({ http })),
  },
  {
    weight: 1,
    arbitrary: fc.record({ address: fc.string(), tls: fc.boolean() }).map((grpc) => JSON.stringify({ grpc })),
  },
);

/** RegisterTool: a schema is registered, its tool is listed and called with arguments, and withdrawn. */
export const register: Door = {
  name: "register",
  requests: fc
    .record({
      inputSchema,
      outputSchema: fc.option(inputSchema, { nil: undefined }),
      target,
      args: fc.array(
        fc.oneof(
          argumentsText,
          jsonText.map((text) => `{"a":${text},"b":1}`),
        ),
        { minLength: 1, maxLength: 3 },
      ),
      name: fc.oneof(
        { weight: 8, arbitrary: fc.constant(`t_${salt}`) },
        { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 10 }) },
      ),
      sanitize: fc.constantFrom("", "text", "strict", "off", "x"),
      description: fc.oneof(fc.constant("A tool."), fc.string({ unit: "binary" })),
    })
    .map(({ args, name, ...parts }) => {
      const tool = objectText({
        name: JSON.stringify(name),
        description: JSON.stringify(parts.description),
        inputSchema: parts.inputSchema,
        outputSchema: parts.outputSchema,
        effect: '"EFFECT_READ"',
      });
      const quotedName = JSON.stringify(name);
      return [
        rpc("ToolRegistry/RegisterTool", objectText({ tool, target: parts.target, sanitize: `"${parts.sanitize}"` })),
        rpc("ToolExecutor/ListTools", "{}"),
        ...args.map((text) =>
          rpc(
            "ToolExecutor/ExecuteTool",
            objectText({ call: objectText({ name: quotedName, argumentsJson: JSON.stringify(text) }) }),
          ),
        ),
        rpc("ToolRegistry/UnregisterTool", objectText({ name: quotedName })),
      ];
    }),
  check({ status, text }, { path }) {
    expectNotOurFault(status, text);
    const body = json(text);
    if (status === 200) return;
    expectConnectError(body);
    expect(path.endsWith("/ListTools"), text).toBe(false);
  },
};
