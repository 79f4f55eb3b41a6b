import { create, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Outcome, type ToolResult, ToolResultSchema } from "../../../gen/jackfield/v1/tool_pb.ts";
import { callResultText, dependsOnOutputSchema, type ResultForm } from "../../../src/adapters/mcp/call-result.ts";

const modern: ResultForm = { era: "modern", hasOutputSchema: false, metaTail: ',"m":1' };
const older: ResultForm = { era: "older", hasOutputSchema: false, metaTail: "" };

/** A good result in the form of the services. */
function good(value: JsonValue, change: { truncated?: boolean } = {}): ToolResult {
  const output = typeof value === "string" ? value : JSON.stringify(value);
  const known = { callId: "c", name: "t", outcome: Outcome.OK, output, ...change };
  return create(ToolResultSchema, { ...known, value: fromJson(ValueSchema, value) });
}

const shown = (result: ToolResult, form: ResultForm) =>
  JSON.parse(callResultText(result, form)) as Record<string, unknown>;

test("any value is returned as text and as structured content; older clients get structured objects only", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (json) => {
      const value = JSON.parse(JSON.stringify(json)) as JsonValue;
      fc.pre(!JSON.stringify(value).startsWith('{"content":['));
      const result = good(value);
      const text = typeof value === "string" ? value : JSON.stringify(value);
      const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
      expect(shown(result, modern)).toMatchObject({ content: [{ type: "text", text }], resultType: "complete" });
      expect(shown(result, modern)["structuredContent"]).toEqual(value);
      expect("structuredContent" in shown(result, older)).toBe(isObject);
      expect(shown(result, older)).not.toHaveProperty("resultType");
    }),
  );
});

describe("a content value", () => {
  const blocks: JsonValue[] = [
    { type: "image", data: "AA==", mimeType: "image/png" },
    { type: "text", text: "x" },
  ];

  test("becomes the content unchanged, and is repeated only if a schema requires structured content", () => {
    expect(shown(good({ content: blocks }), modern)).toMatchObject({ content: blocks });
    expect(shown(good({ content: blocks }), modern)).not.toHaveProperty("structuredContent");
    expect(shown(good({ content: blocks }), { ...modern, hasOutputSchema: true })).toMatchObject({
      content: blocks,
      structuredContent: { content: blocks },
    });
  });

  test("is nothing else: not another member, another block, or a similar text", () => {
    for (const value of [
      { content: blocks, total: 1 },
      { content: [{ type: "video" }] },
      { content: ["x"] },
      { content: "x" },
    ] as JsonValue[]) {
      expect(shown(good(value), modern)["structuredContent"]).toEqual(value);
    }
    expect(shown(good('{"content":['), modern)).toMatchObject({ content: [{ text: '{"content":[' }] });
  });
});

test("a shortened answer has no structured content, and is an error if a schema promises some", () => {
  const shortened = good({ a: "long" }, { truncated: true });
  expect(dependsOnOutputSchema(shortened)).toBe(true);
  expect(shown(shortened, modern)).not.toHaveProperty("structuredContent");
  expect(shown(shortened, modern)).not.toHaveProperty("isError");
  expect(shown(shortened, { ...modern, hasOutputSchema: true })).toMatchObject({ isError: true });
});

test("the message of an error comes before its output, which stands in for it", () => {
  const text = (error: { message: string } | undefined) => {
    const failed = { callId: "c", outcome: Outcome.FAILED, output: "odd", ...(error && { error }) };
    return shown(create(ToolResultSchema, failed), older)["content"];
  };
  expect(text({ message: "why" })).toEqual([{ type: "text", text: "why" }]);
  expect(text(undefined)).toEqual([{ type: "text", text: "odd" }]);
});

test("every other outcome is returned as its message, and as an error", () => {
  for (const outcome of [Outcome.FAILED, Outcome.UNCERTAIN, Outcome.PENDING, Outcome.OVERLOADED]) {
    const result = create(ToolResultSchema, { callId: "c", outcome, output: "No.", error: { message: "No." } });
    expect(dependsOnOutputSchema(result)).toBe(false);
    expect(shown(result, modern)).toMatchObject({
      content: [{ type: "text", text: "No." }],
      isError: true,
      _meta: { "jackfield/callId": "c", "jackfield/replayed": false, m: 1 },
    });
  }
});
