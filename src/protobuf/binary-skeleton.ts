import type { JsonObject } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { BulkField, BulkFields, SkeletonLimits } from "./bulk-fields.ts";
import { readStruct } from "./read-struct.ts";

/** A skeleton in binary form, and its Structs in the order of putStructs. */
export interface BinarySkeleton {
  readonly bytes: Uint8Array;
  readonly structs: readonly JsonObject[];
}

/**
 * Makes the skeleton of a message in binary form. Throws if a Struct is nested too deeply, or if the bytes do not have
 * the form of a message.
 */
export function takeStructsFromBinary(fields: BulkFields, bytes: Uint8Array, limits: SkeletonLimits): BinarySkeleton {
  const structs: JsonObject[] = [];
  const skeleton = new BinaryWriter();
  take(fields, bytes, { to: skeleton, depth: 1, limits, structs });
  return { bytes: skeleton.finish(), structs };
}

interface Taking {
  readonly to: BinaryWriter;
  /** Nesting depth of the message. */
  readonly depth: number;
  readonly limits: SkeletonLimits;
  readonly structs: JsonObject[];
}

function take(bulk: BulkFields, bytes: Uint8Array, { to, depth, limits, structs }: Taking): void {
  const { contents, others } = separate(bulk, bytes, depth, limits);
  for (const part of others) to.raw(part);
  for (const entry of bulk.fields) {
    const found = contents.get(entry);
    if (found === undefined) continue;
    // A field that occurs twice is merged: its content is that of both.
    for (const content of entry.content === "messages" ? found : [Buffer.concat(found)]) {
      to.tag(entry.field.number, WireType.LengthDelimited).fork();
      if (entry.content === "struct") structs.push(readStruct(content, depth, limits.recursionLimit));
      else if (entry.content !== "value") take(entry.nested, content, { to, depth: depth + 1, limits, structs });
      to.join();
    }
  }
}

/** The parts of a message in binary form. */
interface Parts {
  /** The contents of its bulk fields, of each occurrence. */
  readonly contents: ReadonlyMap<BulkField, readonly Uint8Array[]>;
  /** Its other fields, without unknown ones. */
  readonly others: readonly Uint8Array[];
}

function separate({ fields, numbers }: BulkFields, bytes: Uint8Array, depth: number, limits: SkeletonLimits): Parts {
  const reader = new BinaryReader(bytes);
  const contents = new Map<BulkField, Uint8Array[]>();
  const others: Uint8Array[] = [];
  let othersStart = 0;
  let othersEnd = 0;
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [number, wireType] = reader.tag();
    let current: BulkField | undefined;
    for (const entry of fields) {
      if (entry.field.number === number) current = entry;
      else if (entry.rivals.includes(number)) contents.delete(entry);
    }
    if (current === undefined) {
      skip(reader, number, wireType, limits.recursionLimit - depth);
      if (!numbers.has(number)) continue;
      if (start > othersEnd) {
        if (othersEnd > othersStart) others.push(bytes.subarray(othersStart, othersEnd));
        othersStart = start;
      }
      othersEnd = reader.pos;
      continue;
    }
    const content = reader.bytes();
    const found = contents.get(current);
    if (found === undefined) contents.set(current, [content]);
    else if (found.length <= limits.maxItems) found.push(content);
    else if (current.content !== "messages") throw new Error(`${String(current.field)} occurs too often`);
  }
  if (othersEnd > othersStart) others.push(bytes.subarray(othersStart, othersEnd));
  return { contents, others };
}

/** Moves behind a field's value. `reader.skip` would return its bytes. */
function skip(reader: BinaryReader, number: number, wireType: WireType, groups: number): void {
  if (wireType === WireType.LengthDelimited) {
    const length = reader.uint32();
    reader.pos += length;
  } else if (wireType === WireType.Varint) reader.uint32();
  else reader.skip(wireType, number, groups);
  if (reader.pos > reader.len) throw new RangeError("premature EOF");
}
