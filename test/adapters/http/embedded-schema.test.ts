import { create, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import type { ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { type Tool, ToolSchema } from "../../../gen/jackfield/v1/tool_pb.ts";
import { embeddedSchema } from "../../../src/adapters/http/embedded-schema.ts";
import { openapiOf } from "../../../src/adapters/http/openapi.ts";
import { compileSchema } from "../../../src/schema/compile-schema.ts";

const at = "#/components/schemas/x";
const draft7 = { $schema: "http://json-schema.org/draft-07/schema#" };
const draft2020 = { $schema: "https://json-schema.org/draft/2020-12/schema" };
const text = { type: "string" };
const number = { type: "number" };

describe("a schema of draft-07 in the OpenAPI document", () => {
  test.each<[string, JsonObject, JsonObject]>([
    ["writes tuples as prefixItems", { items: [text, number] }, { prefixItems: [text, number] }],
    [
      "writes what follows a tuple as items",
      { items: [text], additionalItems: { items: [number], additionalItems: false } },
      { prefixItems: [text], items: { prefixItems: [number], items: false } },
    ],
    ["leaves out additionalItems without a tuple", { items: text, additionalItems: number }, { items: text }],
    ["leaves out additionalItems without items", { additionalItems: { $ref: "#" } }, {}],
    [
      "splits dependencies by their kind",
      { dependencies: { a: ["b"], c: { items: [text] }, d: false } },
      { dependentRequired: { a: ["b"] }, dependentSchemas: { c: { prefixItems: [text] }, d: false } },
    ],
    [
      "follows a reference by name with a pointer",
      { definitions: { word: { $id: "#word", ...text } }, properties: { a: { $ref: "#word" } } },
      { definitions: { word: text }, properties: { a: { $ref: `${at}/definitions/word` } } },
    ],
    ["counts an empty name as none", { $id: "#", items: { $ref: "#" } }, { items: { $ref: at } }],
    [
      "leaves out keywords that draft-07 ignores",
      {
        contains: text,
        minContains: 2,
        prefixItems: [number],
        dependentRequired: { a: ["b"] },
        unevaluatedItems: false,
      },
      { contains: text },
    ],
    [
      "translates schemas in each keyword that has some",
      Object.fromEntries([
        ...["not", "if", "then", "else", "contains", "propertyNames"].map((keyword) => [keyword, { items: [text] }]),
        ...["allOf", "anyOf", "oneOf"].map((keyword) => [keyword, [true, { items: [text] }]]),
        ...["$defs", "definitions", "properties", "patternProperties"].map((keyword) => [
          keyword,
          { items: { items: [text] } },
        ]),
      ]),
      Object.fromEntries([
        ...["not", "if", "then", "else", "contains", "propertyNames"].map((keyword) => [
          keyword,
          { prefixItems: [text] },
        ]),
        ...["allOf", "anyOf", "oneOf"].map((keyword) => [keyword, [true, { prefixItems: [text] }]]),
        ...["$defs", "definitions", "properties", "patternProperties"].map((keyword) => [
          keyword,
          { items: { prefixItems: [text] } },
        ]),
      ]),
    ],
    [
      "leaves data unchanged",
      Object.fromEntries(
        ["const", "default", "example", "x-note"].map((keyword) => [
          keyword,
          { items: [1], dependencies: {}, $id: "#a", $schema: "b", $ref: "#/c" },
        ]),
      ),
      Object.fromEntries(
        ["const", "default", "example", "x-note"].map((keyword) => [
          keyword,
          { items: [1], dependencies: {}, $id: "#a", $schema: "b", $ref: "#/c" },
        ]),
      ),
    ],
    [
      "leaves data in lists unchanged",
      { enum: [{ items: [1] }], examples: [{ items: [1] }] },
      { enum: [{ items: [1] }], examples: [{ items: [1] }] },
    ],
    [
      "takes what a reference leads to as a schema",
      { shared: { pair: { items: [text] } }, properties: { a: { $ref: "#/shared/pair" } } },
      { shared: { pair: { prefixItems: [text] } }, properties: { a: { $ref: `${at}/shared/pair` } } },
    ],
    [
      "follows references into keywords that have another name",
      {
        properties: { "a b#/": { items: [text], additionalItems: number, dependencies: { c: { items: text } } } },
        anyOf: ["items/0", "additionalItems", "dependencies/c/items"].map((step) => ({
          $ref: `#/properties/a%20b%23~1/${step}`,
        })),
      },
      {
        properties: { "a b#/": { prefixItems: [text], items: number, dependentSchemas: { c: { items: text } } } },
        anyOf: ["prefixItems/0", "items", "dependentSchemas/c/items"].map((step) => ({
          $ref: `${at}/properties/a%20b%23~1/${step}`,
        })),
      },
    ],
    [
      "follows the references of a part with an `$id` from this part",
      {
        $id: "https://example.com/x#",
        properties: {
          a: { $id: "https://example.com/a", items: [{ $id: "#b" }, { $ref: "#b" }], not: { $ref: "#/items/0" } },
          c: { $ref: "#/properties/a" },
        },
      },
      {
        properties: {
          a: {
            prefixItems: [{}, { $ref: `${at}/properties/a/prefixItems/0` }],
            not: { $ref: `${at}/properties/a/prefixItems/0` },
          },
          c: { $ref: `${at}/properties/a` },
        },
      },
    ],
    [
      "leaves references that lead nowhere",
      { anyOf: [{ $ref: "#/nowhere/%" }, { $ref: "#nobody" }, { $ref: 7 }] },
      { anyOf: [{ $ref: `${at}/nowhere/%` }, { $ref: "#nobody" }, { $ref: 7 }] },
    ],
    [
      "takes names for names",
      JSON.parse('{"properties":{"items":{"items":[true]},"$id":true,"$ref":true,"__proto__":true}}') as JsonObject,
      JSON.parse(
        '{"properties":{"items":{"prefixItems":[true]},"$id":true,"$ref":true,"__proto__":true}}',
      ) as JsonObject,
    ],
  ])("%s", (_, given, expected) => {
    expect(embeddedSchema(given, at)).toStrictEqual(expected);
    expect(embeddedSchema({ ...draft7, ...given }, at)).toStrictEqual(expected);
  });
});

describe("a schema of 2020-12 in the OpenAPI document", () => {
  const later = { prefixItems: [text], items: number, dependentRequired: { a: ["b"] }, unevaluatedItems: false };
  test.each<[string, JsonObject, JsonObject]>([
    ["keeps the keywords that are new in it", { ...draft2020, ...later }, later],
    [
      "follows references by name with pointers",
      {
        ...draft2020,
        $dynamicAnchor: "node",
        $defs: { a: { $anchor: "a" } },
        items: { $ref: "#a" },
        not: { $dynamicRef: "#node" },
      },
      { $defs: { a: {} }, items: { $ref: `${at}/$defs/a` }, not: { $ref: at } },
    ],
    [
      "writes dependencies, which the tool checks too, as their successors",
      { ...draft2020, dependentRequired: { a: ["b"] }, dependencies: { c: ["d"], e: text } },
      { dependentRequired: { a: ["b"], c: ["d"] }, dependentSchemas: { e: text } },
    ],
  ])("%s", (_, given, expected) => {
    expect(embeddedSchema(given, at)).toStrictEqual(expected);
  });
});

describe("the OpenAPI document of tools", () => {
  const list: JsonObject = {
    items: [{ $id: "#word", ...text }, { $ref: "#word" }],
    additionalItems: { $ref: "#/$defs/n" },
  };
  const schemas: JsonObject[] = [
    { properties: { a: list }, $defs: { n: number } },
    {
      ...draft7,
      properties: { a: { $ref: "#/definitions/list" } },
      definitions: { list, "odd name": {} },
      $defs: { n: number },
    },
    { properties: { a: { items: text, additionalItems: false } } },
    { properties: { a: { additionalItems: false, minContains: 9, contains: text } } },
    { dependencies: { a: ["b"], b: { properties: { a: { items: [text, text], additionalItems: false } } } } },
    { dependentRequired: { a: ["b"] }, unevaluatedProperties: false },
    { shared: { a: { items: [number] } }, properties: { a: { $ref: "#/shared/a" } } },
    {
      properties: {
        a: { $id: "https://example.com/a", items: [{ $ref: "#/definitions/b" }], definitions: { b: text } },
      },
    },
    {
      ...draft2020,
      properties: { a: { prefixItems: [text, { $ref: "#n" }], items: false } },
      $defs: { n: { $anchor: "n", ...number } },
    },
    { ...draft2020, dependencies: { a: ["b"] }, unevaluatedProperties: false, properties: { a: true } },
    { ...draft2020, $dynamicAnchor: "node", properties: { a: { $dynamicRef: "#node" } }, required: [] },
  ];
  const lists: JsonValue[] = [
    [],
    ["x"],
    [1],
    ["x", "y"],
    ["x", 1],
    ["x", "y", 1],
    ["x", "y", "z"],
    [1, 2, 3],
    "x",
    {},
    null,
  ];
  const values: JsonObject[] = [
    {},
    { b: 1 },
    { c: 1 },
    ...lists.map((a) => ({ a })),
    ...lists.map((a) => ({ a, b: 1 })),
  ];
  const tools = schemas.map((given, index) => {
    const schema = { type: "object", ...given };
    return create(ToolSchema, {
      name: `tool_${index}`,
      description: "Takes it.",
      inputSchema: schema,
      outputSchema: schema,
    });
  });
  const url = "https://tools.example.com/openapi.json";
  const ajv = new Ajv2020({ strict: false });
  ajv.addSchema(openapiOf(tools, { version: "1.2.3", publicUrl: "" }), url);
  const schemaAt = ({ name }: Tool, path: string) =>
    ajv.getSchema(`${url}#/paths/~1tools~1${name}/post/${path}`) as ValidateFunction;

  test.each(tools.map((tool) => [tool.name, tool] as const))(
    "has valid schemas of 2020-12, which agree with the tool's own: %s",
    (_, tool) => {
      const taken = schemaAt(tool, "requestBody/content/application~1json/schema");
      const answered = schemaAt(tool, "responses/200/content/application~1json/schema/properties/value");
      const own = compileSchema(tool.inputSchema as JsonObject);
      const verdicts = values.map((value) => own(value).length === 0);
      expect(new Set(verdicts)).toContain(true);
      for (const validate of [taken, answered]) {
        expect(ajv.validateSchema(validate.schema as object)).toBe(true);
        expect(values.map((value) => validate(value))).toEqual(verdicts);
      }
    },
  );
});
