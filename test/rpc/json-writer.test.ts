import { create, fromJsonString, toJson } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ExecuteToolResponseSchema, GetCallResponseSchema } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { Outcome, ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { isLazyResult, resultOfEnd } from "../../src/executor/stages/shape-output.ts";
import { ExactNumber } from "../../src/json/exact-number.ts";
import { writeJson } from "../../src/rpc/fast-path/json-writer.ts";

/** The result of a call whose tool returned a value. */
function resultOf(returned: unknown) {
  const execution = { call: { id: "call-1", name: "look" }, tool: { secrets: [] } };
  const result = resultOfEnd(execution as never, { kind: "returned", returned } as never, 100_000);
  result.attempts = 1;
  result.duration = { $typeName: "google.protobuf.Duration", seconds: 0n, nanos: 1_500_000 };
  return result;
}

const response = (result: ReturnType<typeof resultOf>) => create(ExecuteToolResponseSchema, { result });

test("writes the result of any value as protobuf-es does", () => {
  const values = fc.oneof(
    fc.jsonValue(),
    fc.string({ unit: "binary" }),
    fc.record({
      exact: fc.constantFrom("12345678901234567890", "0.1234567890123456789").map((text) => new ExactNumber(text)),
    }),
  );
  fc.assert(
    fc.property(values, (value) => {
      const message = response(resultOf(value));
      const written = JSON.parse(writeJson(ExecuteToolResponseSchema, message)) as unknown;
      expect(written).toEqual(toJson(ExecuteToolResponseSchema, message));
    }),
  );
});

test("writes a value that is nested too deeply for a message without it", () => {
  let deep: unknown = 1;
  for (let level = 0; level < 60; level++) deep = { deep };
  const message = response(resultOf(deep));
  const written = JSON.parse(writeJson(ExecuteToolResponseSchema, message)) as { result: object };
  expect(written).toEqual(toJson(ExecuteToolResponseSchema, message));
  expect(written.result).not.toHaveProperty("value");
});

test("the value of a written result can still be read", () => {
  const result = resultOf({ a: [1, "two", null] });
  expect(isLazyResult(result)).toBe(true);
  const text = writeJson(ExecuteToolResponseSchema, response(result));
  expect(toJson(ToolResultSchema, result)).toMatchObject({ value: { a: [1, "two", null] } });
  expect(fromJsonString(ExecuteToolResponseSchema, text).result?.output).toBe('{"a":[1,"two",null]}');
});

test("writes results without text, errors and other messages as protobuf-es does", () => {
  const failed = create(ToolResultSchema, { callId: "call-1", outcome: Outcome.FAILED, error: { message: "no" } });
  for (const [desc, message] of [
    [ExecuteToolResponseSchema, create(ExecuteToolResponseSchema, { result: failed })],
    [ExecuteToolResponseSchema, create(ExecuteToolResponseSchema)],
    [GetCallResponseSchema, create(GetCallResponseSchema, { result: resultOf({ a: 1 }) })],
  ] as const) {
    expect(JSON.parse(writeJson(desc, message))).toEqual(toJson(desc, message as never));
  }
});
