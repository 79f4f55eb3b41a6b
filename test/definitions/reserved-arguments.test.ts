import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { ToolSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { reservedArguments } from "../../src/definitions/reserved-arguments.ts";
import { runProcess, testTool } from "../support/service.ts";

test("an argument that replaces a header is reported, and no other", () => {
  const properties = { jackfieldCallId: {}, jackfieldConversationId: {}, jackfield: {}, callId: {} };
  const tool = create(ToolSchema, { name: "reserved", inputSchema: { type: "object", properties } });
  expect(reservedArguments(tool)).toEqual([
    "tool reserved must not have an argument jackfieldConversationId: it replaces a header at POST /tools/reserved.",
    "tool reserved must not have an argument jackfieldCallId: it replaces a header at POST /tools/reserved.",
  ]);
  expect(reservedArguments(create(ToolSchema, { name: "none" }))).toEqual([]);
});

test("jackfield check fails on it", { timeout: 60_000 }, async () => {
  const refused = await runProcess({ args: ["check"], plugins: [{ use: testTool("reserved") }] });
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringContaining("must not have an argument jackfieldCallId"),
  ]);
});
