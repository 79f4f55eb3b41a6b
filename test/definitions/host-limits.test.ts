import { create, type JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { ToolSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { checkDefinitions } from "../../src/definitions/host-limits.ts";
import { runProcess, testTool } from "../support/service.ts";

const tool = (name: string, inputSchema: JsonObject, outputSchema?: JsonObject) =>
  create(ToolSchema, { name, description: "Does.", inputSchema, ...(outputSchema && { outputSchema }) });

test("schemas that hosts refuse or misread are named", () => {
  const { notes, faults } = checkDefinitions([
    tool("good", { type: "object", properties: { a: { anyOf: [{ type: "string" }, { type: "null" }] } } }),
    tool("top", { type: "object", anyOf: [], allOf: [] }),
    tool("referring", { type: "object" }, { type: "object", properties: { a: { $ref: "#/$defs/a" } } }),
    tool("x".repeat(65), { type: "object" }),
    tool("reserved", { type: "object", properties: { jackfieldCallId: {}, b: {} } }),
  ]);
  expect(notes).toEqual([
    "The arguments of top have anyOf and allOf at the top of their schema: OpenAI and Anthropic refuse it.",
    "A schema of referring has $ref: some hosts do not resolve it.",
    `The name of ${"x".repeat(65)} has more than 64 characters: some models refuse it.`,
  ]);
  expect(faults).toEqual([
    "The tool reserved must not have an argument jackfieldCallId: it stands for a header at POST /tools/reserved.",
  ]);
});

test("jackfield check says so, and fails on an argument that stands for a header", { timeout: 60_000 }, async () => {
  const noted = await runProcess({ args: ["check"], plugins: [{ use: testTool("nullable") }] });
  expect([noted.code, noted.stdout + noted.stderr]).toEqual([
    0,
    expect.stringContaining("A schema of nullable has $ref"),
  ]);
  const refused = await runProcess({ args: ["check"], plugins: [{ use: testTool("reserved") }] });
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringContaining("must not have an argument jackfieldCallId"),
  ]);
});
