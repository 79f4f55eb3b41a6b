import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { Outcome, type ToolResult, ToolResultSchema } from "../../../gen/jackfield/v1/tool_pb.ts";
import { hasNull, withoutNulls } from "../../../src/adapters/http/null-arguments.ts";
import { answerText, readPayload, waitFrom } from "../../../src/adapters/http/payloads.ts";

describe("a null that a platform sends for an empty input", () => {
  test.each([
    [{ a: null }, true],
    [{ a: 1, b: null }, true],
    [{ a: { b: null } }, false],
    [[null], false],
    [null, false],
    ["null", false],
  ])("is detected at the top level only: %j", (args, found) => {
    expect(hasNull(args)).toBe(found);
  });

  const deep = (levels: number): object => (levels === 0 ? { type: "string" } : { allOf: [deep(levels - 1)] });

  test.each<[string, unknown, "taken out" | "left"]>([
    ["a type", { type: "string" }, "taken out"],
    ["types without null", { type: ["string", "number"] }, "taken out"],
    ["types with null", { type: ["string", "null"] }, "left"],
    ["the type null", { type: "null" }, "left"],
    ["values without null", { enum: ["a", 1] }, "taken out"],
    ["values with null", { enum: ["a", null] }, "left"],
    ["a constant", { const: "a" }, "taken out"],
    ["the constant null", { const: null }, "left"],
    ["anyOf without null", { anyOf: [{ type: "string" }, { type: "number" }] }, "taken out"],
    ["anyOf with null", { anyOf: [{ type: "string" }, { type: "null" }] }, "left"],
    ["oneOf without null", { oneOf: [{ type: "string" }, false] }, "taken out"],
    ["oneOf with null", { oneOf: [{ type: "string" }, true] }, "left"],
    ["allOf of which one takes no null", { allOf: [{ type: "null" }, { type: "string" }] }, "taken out"],
    ["allOf of which all take null", { allOf: [{}, { type: "null" }] }, "left"],
    ["a reference without null", { $ref: "#/$defs/text" }, "taken out"],
    ["a reference with null", { $ref: "#/$defs/nothing" }, "left"],
    ["a reference with an escaped name", { $ref: "#/$defs/a~1b~0c%20d" }, "taken out"],
    ["a reference into a list", { $ref: "#/$defs/list/0" }, "left"],
    ["a reference to nowhere", { $ref: "#/$defs/none" }, "left"],
    ["a reference to what every object has", { $ref: "#/$defs/constructor" }, "left"],
    ["a reference to another schema", { $ref: "https://example.com/#/$defs/text" }, "left"],
    ["a reference to itself", { $ref: "#/properties/x" }, "left"],
    ["anything", true, "left"],
    ["nothing", false, "taken out"],
    ["16 levels", deep(15), "taken out"],
    ["more levels than are looked at", deep(16), "left"],
  ])("is, if the schema says %s: %j, %s", (_what, schema, what) => {
    const $defs = {
      text: { type: "string" },
      nothing: { type: "null" },
      "a/b~c d": { type: "string" },
      list: [{ type: "string" }],
    };
    const args = { x: null, y: 1 };
    const kept = withoutNulls(args, { properties: { x: schema }, $defs });
    expect(kept).toEqual(what === "left" ? { x: null, y: 1 } : { y: 1 });
  });

  test("is kept if the argument is required or unknown, or if the schema lists none", () => {
    const properties = { x: { type: "string" } };
    expect(withoutNulls({ x: null }, { properties, required: ["x"] })).toEqual({ x: null });
    expect(withoutNulls({ x: null }, { properties, required: ["y"] })).toEqual({});
    expect(withoutNulls({ x: null }, { properties, required: "x" })).toEqual({});
    expect(withoutNulls({ constructor: null }, { properties })).toEqual({ constructor: null });
    for (const schema of [undefined, true, {}, { properties: [] }]) {
      expect(withoutNulls({ x: null }, schema)).toEqual({ x: null });
    }
  });
});

describe("a body", () => {
  test("is the arguments, except for the members that replace headers", () => {
    const none = { conversationId: undefined, callId: undefined };
    expect(readPayload({ a: 1 })).toEqual({ arguments: { a: 1 }, ...none });
    expect(readPayload([1])).toEqual({ arguments: [1], ...none });
    expect(readPayload({ a: 1, jackfieldConversationId: "c" })).toEqual({
      arguments: { a: 1 },
      conversationId: "c",
      callId: undefined,
    });
    expect(readPayload({ a: 1, jackfieldCallId: "k", jackfieldConversationId: null })).toEqual({
      arguments: { a: 1 },
      conversationId: undefined,
      callId: "k",
    });
    expect(readPayload({ jackfieldCallId: null })).toEqual({ arguments: {}, ...none });
  });
});

test("a good answer whose output is nested too deeply for a value has the value null", () => {
  const known = create(ToolResultSchema, { outcome: Outcome.OK, output: "[]" });
  for (const result of [known, { ...known, valueText: "" }]) {
    expect(JSON.parse(answerText("k", result))).toMatchObject({ outcome: "OK", output: "[]", value: null });
  }
  expect(JSON.parse(answerText("k", { ...known, valueText: "[]" } as ToolResult))).toMatchObject({ value: [] });
});

test("an unsuccessful answer gives its reason, even if only its output contains it", () => {
  const of = (error: { message: string } | undefined) =>
    JSON.parse(
      answerText(
        "k",
        create(ToolResultSchema, { outcome: Outcome.FAILED, output: "odd", ...(error && { error }), truncated: true }),
      ),
    ) as object;
  const answer = { callId: "k", outcome: "FAILED", value: null, replayed: false, truncated: true };
  expect(of({ message: "why" })).toEqual({ ...answer, output: "why" });
  expect(of(undefined)).toEqual({ ...answer, output: "odd" });
});

test.each([
  [undefined, undefined],
  ["wait=5", 5],
  ["respond-async, wait=5", 5],
  ['WAIT = "7" ; x=y', 7],
  [["respond-async", "wait=9"], 9],
  ["wait=5, wait=6", 5],
  ["wait=0", undefined],
  ["wait=0, wait=6", undefined],
  ["wait=1", 1],
  ["wait=120", 120],
  ["wait=121", 120],
  ["wait=999999999", 120],
  ["wait=1000000000", undefined],
  ["wait=-1", undefined],
  ["wait=1.5", undefined],
  ["wait", undefined],
  ["await=5", undefined],
  ["wait=5s", undefined],
])("the preference %j requests a wait of %j s", (prefer, seconds) => {
  expect(waitFrom(prefer)).toBe(seconds);
});
