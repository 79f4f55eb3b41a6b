import { setImmediate } from "node:timers/promises";
import {
  fromBinary,
  fromJson,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  type MessageShape,
} from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { cutDepth } from "../json/cut-depth.ts";
import { rawJson } from "../json/exact-number.ts";
import { takeStructsFromBinary } from "../protobuf/binary-skeleton.ts";
import { bulkFieldsOf, putStructs } from "../protobuf/bulk-fields.ts";
import { takeStructsFromJson } from "../protobuf/json-skeleton.ts";

/** Limits of a message. */
export interface MessageLimits {
  /** Maximum size in bytes, also after decompression. */
  readonly readMaxBytes: number;
  /** Maximum number of calls, or of other messages in a list. */
  readonly maxItems: number;
}

/**
 * Parser options with the maximum nesting depth of messages. A level of arguments counts once in JSON and twice in
 * binary. With these limits both forms accept 197 levels, so that the executor's own limit, which is much lower,
 * decides for both.
 */
export const jsonReadOptions = { ignoreUnknownFields: true, recursionLimit: 200 } as const;

/** The same for the binary form. */
export const binaryReadOptions = { readUnknownFields: false, recursionLimit: 396 } as const;

/** Parsing the JSON of a message of more bytes, decoding the message and using it take turns of their own. */
export const ownTurnBytes = 131_072;

/** protobuf-es decodes shorter messages in binary form as they are, in at most a millisecond. */
const minSkeletonBytes = 4096;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Decodes UTF-8 for Connect's JSON parser. Throws if the text is not UTF-8, and keeps only the last of duplicate keys,
 * which that parser would reject. `1e999` stays out of range, because the executor must detect it.
 */
export const strictJsonDecoder = {
  decode(bytes: Uint8Array): string {
    const text = utf8.decode(cutDepth(bytes));
    try {
      return textOf(JSON.parse(text) as JsonValue);
    } catch {
      return text;
    }
  },
};

/** Decodes a message from parsed JSON, which it changes. Throws invalid_argument. */
export function messageFromJson(
  desc: DescMessage,
  json: JsonValue,
  { maxItems }: MessageLimits,
): MessageShape<DescMessage> {
  try {
    const fields = bulkFieldsOf(desc);
    const structs = takeStructsFromJson(fields, json, { ...jsonReadOptions, maxItems });
    const message = fromJson(desc, json, jsonReadOptions);
    putStructs(fields, message, structs.values());
    return message;
  } catch (reason) {
    throw malformed(reason);
  }
}

/** Parses the JSON of a message. Throws invalid_argument. If a key occurs twice, the last one counts. */
export function parseMessage(desc: DescMessage, bytes: Uint8Array): JsonValue {
  try {
    return jsonFrom(desc, bytes);
  } catch (reason) {
    throw malformed(reason);
  }
}

/** Decodes a message from binary form. Throws invalid_argument. */
export function messageFromBinary(
  desc: DescMessage,
  bytes: Uint8Array,
  { maxItems }: MessageLimits,
): MessageShape<DescMessage> {
  try {
    if (bytes.length < minSkeletonBytes) return fromBinary(desc, bytes, binaryReadOptions);
    const fields = bulkFieldsOf(desc);
    const skeleton = takeStructsFromBinary(fields, bytes, { ...binaryReadOptions, maxItems });
    const message = fromBinary(desc, skeleton.bytes, binaryReadOptions);
    putStructs(fields, message, skeleton.structs.values());
    return message;
  } catch (reason) {
    throw malformed(reason, "parse binary: ");
  }
}

/** A message for Connect's handlers to decode, and the Structs that belong into it. */
export interface SplitMessage {
  readonly bytes: Uint8Array;
  readonly structs: readonly JsonObject[];
}

/**
 * Returns the skeleton of a message that Connect's handlers will decode; undefined for a small message, which
 * needs none. Rejects with invalid_argument.
 */
export async function splitMessage(
  desc: DescMessage,
  bytes: Uint8Array,
  isBinary: boolean,
  { maxItems }: MessageLimits,
): Promise<SplitMessage | undefined> {
  if (bytes.length < minSkeletonBytes) return undefined;
  const isLarge = bytes.length > ownTurnBytes;
  try {
    const json = isBinary ? undefined : jsonFrom(desc, bytes);
    if (isLarge && json !== undefined) await setImmediate();
    const split = json === undefined ? splitBinary(desc, bytes, maxItems) : splitJson(desc, json, maxItems);
    if (isLarge) await setImmediate();
    return split;
  } catch (reason) {
    throw malformed(reason, isBinary ? "parse binary: " : "");
  }
}

function splitBinary(desc: DescMessage, bytes: Uint8Array, maxItems: number): SplitMessage {
  return takeStructsFromBinary(bulkFieldsOf(desc), bytes, { ...binaryReadOptions, maxItems });
}

function splitJson(desc: DescMessage, json: JsonValue, maxItems: number): SplitMessage {
  const structs = takeStructsFromJson(bulkFieldsOf(desc), json, { ...jsonReadOptions, maxItems });
  return { bytes: Buffer.from(textOf(json)), structs };
}

/** Returns JSON text in which numbers that are out of a double's range stay so. */
function textOf(json: JsonValue): string {
  return JSON.stringify(json, (_, value: unknown) =>
    typeof value === "number" && !Number.isFinite(value) ? rawJson(value > 0 ? "1e999" : "-1e999") : value,
  );
}

function jsonFrom(desc: DescMessage, bytes: Uint8Array): JsonValue {
  const text = utf8.decode(cutDepth(bytes));
  try {
    return JSON.parse(text) as JsonValue;
  } catch (reason) {
    throw new Error(
      `cannot decode message ${desc.typeName} from JSON: ${reason instanceof Error ? reason.message : ""}`,
      { cause: reason },
    );
  }
}

function malformed(reason: unknown, prefix = ""): ConnectError {
  const message = reason instanceof Error ? reason.message : String(reason);
  return new ConnectError((prefix + message).toWellFormed(), Code.InvalidArgument);
}
