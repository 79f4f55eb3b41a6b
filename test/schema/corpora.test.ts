import * as fc from "fast-check";
import { describe, expect } from "vitest";
import { create } from "@bufbuild/protobuf";
import { ToolCallSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { readArguments } from "../../src/executor/stages/check-arguments.ts";
import { SchemaError } from "../../src/schema/check-schema.ts";
import { createSchemaCompiler } from "../../src/schema/compile-schema.ts";
import { nearlyJson } from "../support/hostile-json.ts";
import { property } from "../support/property.ts";

const limits = { argumentsBytes: 262_144, depth: 32 };

describe("texts that are nearly JSON (hazard 2)", () => {
  property([nearlyJson])("are arguments exactly where JSON.parse reads an object of plain values", (argumentsJson) => {
    const call = create(ToolCallSchema, { name: "work", input: { case: "argumentsJson", value: argumentsJson } });
    const parsed = readArguments(call, limits);
    let expected: unknown;
    try {
      expected = argumentsJson === "" ? {} : JSON.parse(argumentsJson);
    } catch {
      expect(parsed).toEqual({ message: "Invalid JSON in arguments for work", violations: [] });
      return;
    }
    if (typeof expected !== "object" || expected === null || Array.isArray(expected)) {
      expect(parsed).toMatchObject({ message: "Schema validation failed for work: : must be object" });
    } else if ("violations" in parsed) {
      // Only a number that no double represents, or a name that reaches into prototypes.
      expect(parsed.message).toMatch(/must be a number|is not allowed as a property name/);
    } else {
      expect(parsed.value).toEqual(expected);
    }
  });
});

describe("function definitions as found in practice (hazards 17 and 46)", () => {
  const compile = createSchemaCompiler();
  const right = ["string", "number", "integer", "boolean", "object", "array", "null"];
  const odd = {
    dict: "object",
    float: "number",
    any: "no type at all",
    tuple: "array",
    String: "string",
    list: "array",
  };
  const type = fc.constantFrom<unknown>(
    ...right,
    ...Object.keys(odd),
    "thing",
    "",
    7,
    null,
    ["string", "null"],
    [],
    {},
  );
  const parameter = fc.record(
    {
      type,
      description: fc.string(),
      enum: fc.uniqueArray(fc.oneof(fc.string(), fc.integer()), { maxLength: 3 }),
      default: fc.jsonValue({ maxDepth: 1 }),
      items: fc.record({ type }),
      optional: fc.boolean(),
      format: fc.constantFrom("date", "email", "money", ""),
      properties: fc.dictionary(fc.string({ maxLength: 6 }), fc.record({ type }), { maxKeys: 2 }),
    },
    { requiredKeys: [] },
  );
  const definition = fc.record(
    {
      type: fc.constantFrom("object", "dict"),
      properties: fc.dictionary(fc.string({ maxLength: 10 }), parameter, { maxKeys: 4 }),
      required: fc.array(fc.string({ maxLength: 3 }), { maxLength: 2 }),
    },
    { requiredKeys: ["type"] },
  );

  property([definition, fc.dictionary(fc.string({ maxLength: 10 }), fc.jsonValue({ maxDepth: 2 }))])(
    "compile and check any arguments, or are refused in one sentence that says what is wrong",
    (schema, args) => {
      let validate: ReturnType<typeof compile>;
      try {
        validate = compile(schema);
      } catch (error) {
        expect(error).toBeInstanceOf(SchemaError);
        const { message } = error as SchemaError;
        expect(message).not.toBe("");
        expect(message.length).toBeLessThan(600);
        const word = /type is "(\w+)", which is not a JSON Schema type(.*)$/.exec(message);
        const better = word?.[1] === undefined ? undefined : odd[word[1] as keyof typeof odd];
        if (better !== undefined) expect(word?.[2]).toBe(`: use ${better}`);
        return;
      }
      for (const { path, message } of validate(args)) {
        expect(typeof path).toBe("string");
        expect(message).not.toBe("");
      }
    },
  );
});
