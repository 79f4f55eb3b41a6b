import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";

/**
 * Decodes a `google.protobuf.Struct` from its binary form to the JSON object that protobuf-es makes of it, without a
 * message for each value. `depth` is the number of messages around it. Throws if more than `recursionLimit` messages
 * are nested, or if the bytes do not have the form of a Struct.
 */
export function readStruct(bytes: Uint8Array, depth: number, recursionLimit: number): JsonObject {
  const reader = new BinaryReader(bytes);
  return readFields({}, bytes.length, { reader, depth, recursionLimit });
}

interface Reading {
  readonly reader: BinaryReader;
  readonly recursionLimit: number;
  depth: number;
}

/** Reads the fields of a Struct up to `end`, into an object that may have some. */
function readFields(into: JsonObject, end: number, reading: Reading): JsonObject {
  enter("Struct", reading);
  const { reader } = reading;
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    if (number === 1) readField(into, reading);
    else reader.skip(wireType, number, reading.recursionLimit - reading.depth);
  }
  reading.depth--;
  return into;
}

function readField(into: JsonObject, reading: Reading): void {
  const { reader } = reading;
  const end = endOf(reader);
  let key = "";
  let value: JsonValue | undefined;
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    if (number === 1) key = reader.string(true);
    else if (number === 2) value = readValue(value, endOf(reader), reading);
    else reader.skip(wireType, number, reading.recursionLimit - reading.depth);
  }
  if (key !== "__proto__") into[key] = value ?? null;
  // Assigning to `__proto__` would not create a member.
  else Object.defineProperty(into, key, { value: value ?? null, enumerable: true, configurable: true, writable: true });
}

/**
 * Reads a Value up to `end`. Where the same field occurs twice, the second is merged into the `first`. Returns undefined
 * if no kind of value is set.
 */
function readValue(first: JsonValue | undefined, end: number, reading: Reading): JsonValue | undefined {
  enter("Value", reading);
  const { reader } = reading;
  let value = first;
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    switch (number) {
      case 1:
        reader.int32();
        value = null;
        break;
      case 2:
        value = reader.double();
        break;
      case 3:
        value = reader.string(true);
        break;
      case 4:
        value = reader.bool();
        break;
      case 5: {
        const isStruct = typeof value === "object" && value !== null && !Array.isArray(value);
        value = readFields(isStruct ? (value as JsonObject) : {}, endOf(reader), reading);
        break;
      }
      case 6:
        value = readItems(Array.isArray(value) ? value : [], endOf(reader), reading);
        break;
      default:
        reader.skip(wireType, number, reading.recursionLimit - reading.depth);
    }
  }
  reading.depth--;
  return value;
}

/** Reads the items of a ListValue up to `end`, behind those that a list has. */
function readItems(into: JsonValue[], end: number, reading: Reading): JsonValue[] {
  enter("ListValue", reading);
  const { reader } = reading;
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    if (number === 1) into.push(readValue(undefined, endOf(reader), reading) ?? null);
    else reader.skip(wireType, number, reading.recursionLimit - reading.depth);
  }
  reading.depth--;
  return into;
}

/** Reads the length of what follows, and returns where it ends. */
function endOf(reader: BinaryReader): number {
  const length = reader.uint32();
  return reader.pos + length;
}

function enter(type: "Struct" | "Value" | "ListValue", reading: Reading): void {
  if (++reading.depth <= reading.recursionLimit) return;
  throw new Error(
    `cannot decode message google.protobuf.${type} from binary: maximum recursion depth of ${reading.recursionLimit} reached`,
  );
}
