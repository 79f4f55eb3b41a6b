import { create, type DescMessage, toBinary } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { file_jackfield_v1_calls } from "../../gen/jackfield/v1/calls_pb.ts";
import { file_jackfield_v1_conversations } from "../../gen/jackfield/v1/conversations_pb.ts";
import { file_jackfield_v1_jobs } from "../../gen/jackfield/v1/jobs_pb.ts";
import { file_jackfield_v1_tool } from "../../gen/jackfield/v1/tool_pb.ts";
import { ExecuteToolResponseSchema, file_jackfield_v1_tool_executor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { file_jackfield_v1_tool_registry } from "../../gen/jackfield/v1/tool_registry_pb.ts";
import { createBinaryWriter } from "../../src/protobuf/binary-writer.ts";
import { messageOf } from "./messages.ts";

const types = [
  file_jackfield_v1_tool,
  file_jackfield_v1_tool_executor,
  file_jackfield_v1_jobs,
  file_jackfield_v1_calls,
  file_jackfield_v1_conversations,
  file_jackfield_v1_tool_registry,
].flatMap(({ messages }) => messages);

describe("the writer of binary messages", () => {
  const write = createBinaryWriter();

  function expectSame(desc: DescMessage, message: unknown): void {
    const written = write(desc, message as never, 0);
    const expected = Buffer.from(toBinary(desc, message as never));
    if (!written.equals(expected)) expect(written).toEqual(expected);
  }

  it.for(types.map((desc) => [desc.typeName, desc] as const))("writes %s as protobuf-es does", ([, desc]) => {
    fc.assert(
      fc.property(messageOf(desc, 3), (message) => expectSame(desc, message)),
      { numRuns: 30 },
    );
  });

  it("writes any JSON value as protobuf-es does", () => {
    fc.assert(fc.property(messageOf(ValueSchema, 6), (message) => expectSame(ValueSchema, message)));
  });

  it("leaves room for the head of a frame", () => {
    const message = create(ExecuteToolResponseSchema, { result: { callId: "call-1", output: "x".repeat(5000) } });
    const written = write(ExecuteToolResponseSchema, message, 5);
    expect(written.subarray(5)).toEqual(Buffer.from(toBinary(ExecuteToolResponseSchema, message)));
  });

  it("keeps fields of a later version", () => {
    const message = create(ExecuteToolResponseSchema, { result: { callId: "call-1" } });
    message.result!.$unknown = [{ no: 900, wireType: 0, data: new Uint8Array([7]) }];
    const written = write(ExecuteToolResponseSchema, message, 0);
    expect(written).toEqual(Buffer.from(toBinary(ExecuteToolResponseSchema, message)));
    expect(written.includes(Buffer.from([0xa0, 0x38, 7]))).toBe(true);
  });

  it("writes a message correctly after one that could not be written", () => {
    const bad = create(ExecuteToolResponseSchema, { result: { callId: "call-1", output: "o" } });
    bad.result!.name = 7 as never;
    expect(() => write(ExecuteToolResponseSchema, bad, 0)).toThrow(TypeError);
    const good = create(ExecuteToolResponseSchema, { result: { callId: "call-2" } });
    expect(write(ExecuteToolResponseSchema, good, 0)).toEqual(Buffer.from(toBinary(ExecuteToolResponseSchema, good)));
  });

  it.for([Number.NaN, 1.5, 2 ** 31])("refuses %s in an integer field as protobuf-es does", (attempts) => {
    const message = create(ExecuteToolResponseSchema, { result: { callId: "call-1", attempts } });
    expect(() => write(ExecuteToolResponseSchema, message, 0)).toThrow("invalid int32");
  });
});
