import { create, type JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { ToolSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { definitionWarnings } from "../../src/definitions/warnings.ts";

const warningsOf = (inputSchema: JsonObject, name = "work"): string[] =>
  definitionWarnings(create(ToolSchema, { name, inputSchema }));

test.each(["anyOf", "oneOf", "allOf"])(
  "a schema with %s at the top causes a warning, one with it inside does not",
  (keyword) => {
    expect(warningsOf({ type: "object", [keyword]: [{}] })).toEqual([
      `tool work: inputSchema has ${keyword} at the top level, which some models refuse`,
    ]);
    expect(warningsOf({ type: "object", properties: { a: { [keyword]: [{}] } } })).toEqual([]);
  },
);

test("references cause warnings; properties, values and examples that look like them do not", () => {
  const uses = "tool work: inputSchema uses $ref, which some models do not follow";
  expect(warningsOf({ type: "object", properties: { a: { items: [{ $ref: "#/$defs/x" }] } } })).toEqual([uses]);
  expect(warningsOf({ type: "object", $defs: { x: { $ref: "#" } } })).toEqual([uses]);
  expect(
    warningsOf({
      type: "object",
      properties: { $ref: { type: "string" }, anyOf: {} },
      default: { $ref: "#" },
      examples: [{ $ref: "#" }],
    }),
  ).toEqual([]);
});

test("names of more than 64 characters cause warnings", () => {
  const long = "p".repeat(65);
  const properties: JsonObject = {
    [long]: {},
    ["p".repeat(64)]: {},
    list: { items: { properties: { [`${long}2`]: {} } } },
  };
  expect(warningsOf({ type: "object", properties })).toEqual([
    `tool work: inputSchema names a property of more than 64 characters: ${"p".repeat(64)}…`,
  ]);
  expect(warningsOf({ type: "object" }, "t".repeat(65))).toEqual([
    `tool ${"t".repeat(65)}: its name has more than 64 characters`,
  ]);
});
