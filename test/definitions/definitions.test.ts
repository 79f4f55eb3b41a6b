import { create } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Effect, ToolAnnotationsSchema, ToolSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { anthropicTools } from "../../src/definitions/anthropic.ts";
import { mcpTools } from "../../src/definitions/mcp.ts";
import { definitionFormats, nameFor, nameFrom } from "../../src/definitions/names.ts";
import { openaiTools } from "../../src/definitions/openai.ts";
import { testRequirement } from "../support/test-requirement.ts";

const schema = { type: "object", properties: { id: { type: "string" } }, required: ["id"] };
const read = create(ToolSchema, {
  name: "b_read",
  description: "Reads.",
  inputSchema: schema,
  outputSchema: schema,
  effect: Effect.READ,
});
const write = create(ToolSchema, { name: "a.write", description: "Writes." });

testRequirement("002.3", "definitions have OpenAI's form, by name", () => {
  expect(openaiTools([read])).toEqual([
    { type: "function", function: { name: "b_read", description: "Reads.", parameters: schema } },
  ]);
  const forwards = JSON.stringify(openaiTools([read, write]));
  expect(JSON.stringify(openaiTools([write, read]))).toBe(forwards);
  expect(openaiTools([read, write])[0]?.function.parameters).toEqual({ type: "object", properties: {} });
});

test("definitions have Anthropic's form", () => {
  expect(anthropicTools([read])).toEqual([{ name: "b_read", description: "Reads.", input_schema: schema }]);
});

test("definitions have MCP's form, with hints from the effect", () => {
  expect(mcpTools([read, write])).toEqual([
    {
      name: "a.write",
      description: "Writes.",
      inputSchema: { type: "object", properties: {} },
      annotations: { readOnlyHint: false, idempotentHint: false, destructiveHint: true },
    },
    {
      name: "b_read",
      description: "Reads.",
      inputSchema: schema,
      outputSchema: schema,
      annotations: { readOnlyHint: true, idempotentHint: true, destructiveHint: false },
    },
  ]);
});

test("MCP's idempotentHint is set for reads only, whatever the downstream does with a key", () => {
  const idempotent = create(ToolSchema, { name: "book", effect: Effect.IDEMPOTENT, inputSchema: { type: "object" } });
  const [hints] = mcpTools([idempotent]);
  expect(hints?.annotations).toEqual({ readOnlyHint: false, destructiveHint: true, idempotentHint: false });
  expect(hints?.inputSchema).toEqual({ type: "object", properties: {} });
  const annotations = { title: "Book a table", destructive: false, idempotent: true, openWorld: true };
  expect(mcpTools([{ ...idempotent, annotations: create(ToolAnnotationsSchema, annotations) }])[0]).toMatchObject({
    title: "Book a table",
    annotations: {
      title: "Book a table",
      readOnlyHint: false,
      destructiveHint: false,
      idempotentHint: true,
      openWorldHint: true,
    },
  });
});

test("only clients that accept any output schema get one that is not an object's", () => {
  const list = create(ToolSchema, { name: "list", outputSchema: { type: "array" } });
  expect(mcpTools([list])[0]).not.toHaveProperty("outputSchema");
  expect(mcpTools([list], "any")[0]).toHaveProperty("outputSchema", { type: "array" });
});

test("any name is converted to one that the format allows, and back", () => {
  const names = fc.uniqueArray(fc.string({ unit: "grapheme", minLength: 1, maxLength: 200 }), {
    minLength: 1,
    maxLength: 20,
  });
  fc.assert(
    fc.property(names, fc.constantFrom(...definitionFormats), (known, format) => {
      for (const name of known) {
        const given = nameFor(format, name);
        expect(given).toMatch(format === "mcp" ? /^[a-zA-Z0-9_.-]{1,128}$/ : /^[a-zA-Z0-9_-]{1,64}$/);
        expect(nameFrom(format, given, known)).toBe(name);
      }
    }),
  );
  expect(nameFor("openai", "get_order_status")).toBe("get_order_status");
  expect(nameFrom("openai", "nobody", ["somebody"])).toBe("nobody");
});
