import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { type Tool, ToolSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { contractFromTool } from "../../src/adapters/genesys/export/contract.ts";

function tool(input?: object, output?: object): Tool {
  return create(ToolSchema, {
    name: "get_order",
    description: "Look up an order.",
    ...(input !== undefined && { inputSchema: input as Tool["inputSchema"] & object }),
    ...(output !== undefined && { outputSchema: output as Tool["outputSchema"] & object }),
  });
}

const contract = (input?: object, output?: object) => contractFromTool(tool(input, output), { conversation: false });
const described = { type: "string", description: "d" };

describe("the contract of a data action", () => {
  test("has no inputs and only the three common outputs for a tool without schemas", () => {
    expect(contract()).toEqual({
      input: {
        $schema: "http://json-schema.org/draft-04/schema#",
        title: "get_order",
        description: "Look up an order.",
        type: "object",
        properties: {},
        additionalProperties: true,
      },
      output: [
        {
          name: "outcome",
          jsonPath: "$.outcome",
          fallback: '""',
          schema: {
            type: "string",
            title: "Outcome",
            description: "How the call ended: OK, or what went wrong, such as INVALID_ARGUMENTS or FAILED.",
          },
        },
        {
          name: "output",
          jsonPath: "$.output",
          fallback: '""',
          schema: {
            type: "string",
            title: "Output",
            description: "The tool's answer as text; the reason if the outcome is not OK.",
          },
        },
        {
          name: "callId",
          jsonPath: "$.callId",
          fallback: '""',
          schema: { type: "string", title: "Call id", description: "Id of the call, to ask for its answer later." },
        },
      ],
      notes: [],
      skipped: undefined,
    });
  });

  test("includes the conversation id on request, as an optional input that does not count towards the limit", () => {
    const properties = Object.fromEntries(["a", "b", "c", "d"].map((name) => [name, described]));
    const { input, notes } = contractFromTool(tool({ properties, required: ["a"] }), { conversation: true });
    expect(input["properties"]).toEqual({
      ...Object.fromEntries(["a", "b", "c", "d"].map((name) => [name, { ...described, title: name.toUpperCase() }])),
      jackfieldConversationId: {
        type: "string",
        title: "Conversation id",
        description: "Id of the conversation, so that the same request within it is recognised.",
      },
    });
    expect([input["required"], notes]).toEqual([["a"], []]);
  });

  test.each<[string, object, object | undefined]>([
    ["a type", { type: "integer" }, { type: "integer" }],
    ["a type beside null", { type: ["boolean", "null"] }, { type: "boolean" }],
    ["two types", { type: ["string", "number"] }, undefined],
    ["null alone", { type: "null" }, undefined],
    ["a type that is no scalar", { type: "array" }, undefined],
    ["a type that is none", { type: 7 }, undefined],
    ["texts", { enum: ["a_b", "_c"] }, { type: "string", enum: ["a_b", "_c"] }],
    ["numbers and null", { enum: [1, null, 2] }, { type: "number", enum: [1, 2] }],
    ["values of two types", { enum: ["a", 1] }, undefined],
    ["no values", { enum: [] }, undefined],
    ["values that are no list", { enum: "a" }, undefined],
    ["nothing", {}, undefined],
    ["a title and a description", { type: "string", title: "T", description: "D" }, { title: "T", description: "D" }],
    ["those that are no texts", { type: "string", title: 7, description: [] }, { title: "Order id" }],
  ])("accepts or leaves out an input with %s: %j", (_what, property, expected) => {
    const { input, notes, skipped } = contract({ properties: { order_id: property } });
    if (expected === undefined) {
      expect(input["properties"]).toEqual({});
      expect(notes).toEqual(['the optional input "order_id" is not a text, number or boolean: it is left out']);
    } else {
      const names = { title: "Order id", description: "Order id" };
      expect(input["properties"]).toEqual({ order_id: { type: "string", ...names, ...expected } });
    }
    expect(skipped).toBeUndefined();
  });

  test.each([
    ["a-b_C9", undefined],
    ["_a", "does not accept"],
    ["9a", "does not accept"],
    ["a.b", "does not accept"],
    ["a b", "does not accept"],
    ["", "does not accept"],
    ["dict", "reserves"],
    ["Unknown", "reserves"],
  ])("accepts the input name %j unless the platform rejects it: %s", (name, why) => {
    const { input, skipped } = contract({ properties: { [name]: described }, required: [name] });
    expect(Object.keys(input["properties"] as object)).toEqual(why === undefined ? [name] : []);
    expect(input["required"]).toEqual(why === undefined ? [name] : undefined);
    if (why === undefined) expect(skipped).toBeUndefined();
    else
      expect(skipped).toMatch(new RegExp(`^the required input ${JSON.stringify(name)} has a name that Genesys ${why}`));
  });

  test("reports the first reason for skipping a tool", () => {
    const properties = { "a.b": described, list: { type: "array" } };
    expect(contract({ properties, required: ["a.b", "list", 7] }).skipped).toBe(
      'the required input "a.b" has a name that Genesys does not accept (letters, digits, _ and -, a letter first)',
    );
    expect(contract({ properties: { lines: [] }, required: ["lines"] }).skipped).toBe(
      'the required input "lines" is not a text, number or boolean',
    );
  });

  test("ignores malformed properties and requirements", () => {
    for (const odd of [{ properties: [] }, { properties: null }, { properties: "x", required: "x" }]) {
      expect(contract(odd)).toMatchObject({ input: { properties: {} }, notes: [] });
      expect(contract(odd).input).not.toHaveProperty("required");
      expect(contract({}, odd).output).toHaveLength(3);
    }
    expect(contract({ required: ["absent"] }).input).not.toHaveProperty("required");
  });

  test("notes every allowed value that is not an identifier", () => {
    const { notes } = contract({ properties: { a: { enum: ["ok", "two words", "9", "x-y"], description: "d" } } });
    expect(notes).toEqual([
      'the input "a" has allowed values that are not identifiers ("two words", "9", "x-y"); an Agentic Virtual Agent refuses them',
    ]);
    const numbers = contract({ properties: { a: { enum: [1], description: "d" } } });
    expect(numbers.notes).toEqual([
      'the input "a" has allowed values that are not identifiers (1); an Agentic Virtual Agent refuses them',
    ]);
  });

  test("contains each scalar output once, under a name that the platform accepts", () => {
    const { output } = contract(
      {},
      {
        properties: {
          order__id: { type: "string" },
          totalPrice: { type: ["number", "null"], title: "Price", description: "All of it." },
          "-x": described,
          list: described,
          value_output: described,
          output: described,
          lines: { type: "array" },
        },
      },
    );
    expect(output.slice(3)).toEqual([
      {
        name: "order__id",
        jsonPath: "$.value.order__id",
        fallback: '""',
        schema: { type: "string", title: "Order id", description: "Order id" },
      },
      {
        name: "totalPrice",
        jsonPath: "$.value.totalPrice",
        fallback: "null",
        schema: { type: "number", title: "Price", description: "All of it." },
      },
      {
        name: "value_list",
        jsonPath: "$.value.list",
        fallback: '""',
        schema: { type: "string", title: "List", description: "d" },
      },
      {
        name: "value_output",
        jsonPath: "$.value.value_output",
        fallback: '""',
        schema: { type: "string", title: "Value output", description: "d" },
      },
    ]);
  });

  test.each([
    ["order_id", "Order id"],
    ["orderIdOfCustomer", "Order id of customer"],
    ["order-id__", "Order id"],
    ["URL", "URL"],
    ["a", "A"],
  ])("titles %s as %s", (name, title) => {
    const { input } = contract({ properties: { [name]: { type: "string" } } });
    expect(input["properties"]).toEqual({ [name]: { type: "string", title, description: title } });
  });
});
