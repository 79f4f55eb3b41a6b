import {
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  type MessageShape,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { NullValue } from "@bufbuild/protobuf/wkt";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EraseConversationRequestSchema } from "../../gen/jackfield/v1/calls_pb.ts";
import { RunConversationRequestSchema } from "../../gen/jackfield/v1/conversations_pb.ts";
import { SubmitJobRequestSchema } from "../../gen/jackfield/v1/jobs_pb.ts";
import {
  ExecuteToolRequestSchema,
  ExecuteToolResponseSchema,
  ExecuteToolsRequestSchema,
} from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { RegisterToolRequestSchema } from "../../gen/jackfield/v1/tool_registry_pb.ts";
import { takeStructsFromBinary } from "../../src/protobuf/binary-skeleton.ts";
import { bulkFieldsOf, putStructs } from "../../src/protobuf/bulk-fields.ts";
import { takeStructsFromJson } from "../../src/protobuf/json-skeleton.ts";
import { messageOf } from "./messages.ts";

const requests = [
  ExecuteToolRequestSchema,
  ExecuteToolsRequestSchema,
  SubmitJobRequestSchema,
  RegisterToolRequestSchema,
  EraseConversationRequestSchema,
  RunConversationRequestSchema,
].map((desc) => [desc.typeName, desc as DescMessage] as const);

const limits = { recursionLimit: 200, maxItems: 64 };
const readOptions = { recursionLimit: 200, ignoreUnknownFields: true, readUnknownFields: false };

function readJson(desc: DescMessage, json: JsonValue): MessageShape<DescMessage> {
  const fields = bulkFieldsOf(desc);
  const structs = takeStructsFromJson(fields, json, limits);
  const message = fromJson(desc, json, readOptions);
  putStructs(fields, message, structs.values());
  return message;
}

function readBinary(desc: DescMessage, bytes: Uint8Array): MessageShape<DescMessage> {
  const fields = bulkFieldsOf(desc);
  const { bytes: skeleton, structs } = takeStructsFromBinary(fields, bytes, limits);
  const message = fromBinary(desc, skeleton, readOptions);
  putStructs(fields, message, structs.values());
  return message;
}

/** Sets the Values of a message to null, as skeletons have them. */
function withoutValues(message: unknown): unknown {
  if (typeof message !== "object" || message === null || message instanceof Uint8Array) return message;
  if ("$typeName" in message && message.$typeName === "google.protobuf.Value")
    return { ...message, kind: { case: "nullValue", value: NullValue.NULL_VALUE } };
  for (const [name, value] of Object.entries(message)) {
    if (name !== "arguments") (message as Record<string, unknown>)[name] = withoutValues(value);
  }
  return message;
}

/** The outcome of a decoder: the message, or that it throws. */
function outcomeOf(decode: () => unknown): unknown {
  try {
    return decode();
  } catch {
    return "refused";
  }
}

function messageOrError(decode: () => unknown): unknown {
  try {
    return decode();
  } catch (error) {
    return (error as Error).message;
  }
}

/** A field of bytes, in binary form. */
function tagged(number: number, content: Uint8Array): Buffer {
  const writer = new BinaryWriter();
  return Buffer.from(writer.tag(number, WireType.LengthDelimited).bytes(content).finish());
}

function written(write: (to: BinaryWriter) => BinaryWriter): Buffer {
  return Buffer.from(write(new BinaryWriter()).finish());
}

/** Structs in binary form: keys and values missing, in any order or repeated, unknown fields. */
const { structBytes } = fc.letrec<{ structBytes: Buffer; value: Buffer }>((tie) => {
  const many = (part: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> =>
    fc.array(part, { maxLength: 3, depthIdentifier: "struct" }).map((parts) => Buffer.concat(parts));
  const unknown = fc.constantFrom(
    written((to) => to.tag(9, WireType.Varint).uint32(300)),
    written((to) => to.tag(9, WireType.Bit64).double(1)),
    tagged(9, Buffer.from("?")),
    written((to) => to.tag(9, WireType.StartGroup).tag(9, WireType.EndGroup)),
  );
  const key = fc.constantFrom("a", "b", "", "__proto__", "1", "é").map((text) => tagged(1, Buffer.from(text)));
  const field = fc.oneof(
    { weight: 4, arbitrary: key },
    { weight: 4, arbitrary: tie("value").map((value) => tagged(2, value)) },
    { weight: 1, arbitrary: unknown },
  );
  const item = tie("value").map((value) => tagged(1, value));
  const kind = fc.oneof(
    { depthSize: "small", depthIdentifier: "struct" },
    fc.constantFrom(0, 7).map((number) => written((to) => to.tag(1, WireType.Varint).int32(number))),
    fc.double().map((number) => written((to) => to.tag(2, WireType.Bit64).double(number))),
    fc.string().map((text) => tagged(3, Buffer.from(text))),
    fc.constant(tagged(3, Buffer.from([0xff]))),
    fc.boolean().map((flag) => written((to) => to.tag(4, WireType.Varint).bool(flag))),
    tie("structBytes").map((struct) => tagged(5, struct)),
    many(item).map((items) => tagged(6, items)),
    unknown,
  );
  return { structBytes: many(many(field).map((entry) => tagged(1, entry))), value: many(kind) };
});

describe("messages read by their skeletons", () => {
  it.for(requests)("%s in JSON is read as by protobuf-es", ([, desc]) => {
    let read = 0;
    fc.assert(
      fc.property(messageOf(desc, 4), fc.boolean(), (message, useProtoFieldName) => {
        const json = outcomeOf(() => toJson(desc, message as MessageShape<DescMessage>, { useProtoFieldName }));
        fc.pre(json !== "refused");
        const expected = outcomeOf(() => fromJson(desc, structuredClone(json as JsonValue), readOptions));
        expect(withoutValues(outcomeOf(() => readJson(desc, json as JsonValue)))).toEqual(withoutValues(expected));
        if (expected !== "refused") read += 1;
      }),
      { numRuns: 60 },
    );
    expect(read).toBeGreaterThan(10);
  });

  it.for(requests)("%s in JSON of any form is read or refused as by protobuf-es", ([, desc]) => {
    const name = fc.constantFrom(...desc.fields.flatMap((field) => [field.name, field.jsonName]), "unknown");
    const part = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom<JsonValue>({ arguments: { a: [] } }, { arguments: 1 }, { inputSchema: {}, input_schema: {} }, [
        {},
      ]),
    );
    fc.assert(
      fc.property(fc.oneof(fc.dictionary(name, part), part), (value) => {
        const json = value as JsonValue;
        const expected = outcomeOf(() => fromJson(desc, structuredClone(json), readOptions));
        expect(withoutValues(outcomeOf(() => readJson(desc, json)))).toEqual(withoutValues(expected));
      }),
    );
  });

  it.for(requests)("%s in binary form, also in two parts, is read as by protobuf-es", ([, desc]) => {
    fc.assert(
      fc.property(messageOf(desc, 4), messageOf(desc, 4), fc.boolean(), (first, second, isMerged) => {
        const parts = [first, ...(isMerged ? [second] : [])];
        const bytes = Buffer.concat(parts.map((message) => toBinary(desc, message as MessageShape<DescMessage>)));
        const expected = withoutValues(fromBinary(desc, bytes, readOptions));
        expect(withoutValues(readBinary(desc, bytes))).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  it("Structs in any binary form are read as by protobuf-es", () => {
    fc.assert(
      fc.property(structBytes, structBytes, (first, second) => {
        const call = (struct: Buffer): Buffer => tagged(1, tagged(3, struct));
        const bytes = Buffer.concat([call(first), call(second)]);
        const expected = outcomeOf(() => fromBinary(ExecuteToolRequestSchema, bytes, readOptions));
        expect(outcomeOf(() => readBinary(ExecuteToolRequestSchema, bytes))).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  it("the last field of a oneof counts, and what came before it is not merged", () => {
    const call = (...fields: Buffer[]): Buffer => tagged(1, Buffer.concat(fields));
    const field = (key: string): Buffer => tagged(3, tagged(1, tagged(1, Buffer.from(key))));
    const text = tagged(4, Buffer.from("{}"));
    const expectCase = (bytes: Buffer, input: object): void => {
      expect(fromBinary(ExecuteToolRequestSchema, bytes).call?.input).toEqual(input);
      expect(readBinary(ExecuteToolRequestSchema, bytes)).toEqual(fromBinary(ExecuteToolRequestSchema, bytes));
    };
    expectCase(call(field("a"), field("b")), { case: "arguments", value: { a: null, b: null } });
    expectCase(call(field("a"), text, field("b")), { case: "arguments", value: { b: null } });
    expectCase(call(field("a"), text), { case: "argumentsJson", value: "{}" });
  });

  it.for([
    ["JSON", 197, 198],
    ["binary", 99, 100],
  ] as const)("in %s %i levels are read and %i refused, as by protobuf-es", ([form, accepted, refused]) => {
    const read = (levels: number): unknown => {
      let value: JsonValue = 1;
      for (let level = 1; level < levels; level++) value = level % 2 === 0 ? { a: value } : [value];
      const json = { call: { arguments: { a: value } } };
      const bytes = toBinary(
        ExecuteToolRequestSchema,
        fromJson(ExecuteToolRequestSchema, json, { recursionLimit: 1000 }),
      );
      const ours = (): unknown =>
        form === "JSON"
          ? readJson(ExecuteToolRequestSchema, structuredClone(json))
          : readBinary(ExecuteToolRequestSchema, bytes);
      const theirs = (): unknown =>
        form === "JSON"
          ? fromJson(ExecuteToolRequestSchema, json, readOptions)
          : fromBinary(ExecuteToolRequestSchema, bytes, readOptions);
      expect(messageOrError(ours)).toEqual(messageOrError(theirs));
      return messageOrError(ours);
    };
    expect(read(accepted)).toHaveProperty("call");
    expect(read(refused)).toMatch("maximum recursion depth of 200 reached");
  });

  it("protobuf-es decodes neither the values of Structs nor more items than may be used", () => {
    const values = (count: number): JsonValue[] => Array<JsonValue>(count).fill(null);
    const json = {
      calls: Array.from({ length: 1000 }, () => ({ arguments: { list: values(1000) } })),
    };
    const bytes = toBinary(ExecuteToolsRequestSchema, fromJson(ExecuteToolsRequestSchema, structuredClone(json)));
    const skeleton = takeStructsFromBinary(bulkFieldsOf(ExecuteToolsRequestSchema), bytes, limits);
    expect(skeleton.bytes.length).toBe(65 * 4);
    expect(skeleton.structs.length).toBe(65);
    takeStructsFromJson(bulkFieldsOf(ExecuteToolsRequestSchema), json, limits);
    expect(json).toEqual({ calls: Array.from({ length: 65 }, () => ({ arguments: {} })) });
  });

  it("protobuf-es decodes no Value, which may be as large as a Struct", () => {
    const json = { result: { callId: "i", value: { a: [1, 2, 3] } } };
    expect(takeStructsFromJson(bulkFieldsOf(ExecuteToolResponseSchema), json, limits)).toEqual([]);
    expect(json).toEqual({ result: { callId: "i", value: null } });
  });

  it("a single message that is sent in very many parts is refused", () => {
    const parts = (count: number): Buffer =>
      Buffer.concat(Array<Buffer>(count).fill(tagged(1, tagged(1, Buffer.from("i")))));
    expect(readBinary(ExecuteToolRequestSchema, parts(65))).toHaveProperty("call.id", "i");
    expect(() => readBinary(ExecuteToolRequestSchema, parts(66))).toThrow("ExecuteToolRequest.call occurs too often");
  });

  it("a message that ends too early is refused", () => {
    const bytes = toBinary(
      ExecuteToolRequestSchema,
      fromJson(ExecuteToolRequestSchema, {
        call: { id: "i", arguments: { a: [1, "x", { b: true }] } },
        answerWithin: "2s",
      }),
    );
    for (let length = 1; length < bytes.length; length++) {
      const part = bytes.subarray(0, length);
      const expected = outcomeOf(() => fromBinary(ExecuteToolRequestSchema, part, readOptions));
      if (expected === "refused") expect(() => readBinary(ExecuteToolRequestSchema, part)).toThrow();
    }
  });
});
