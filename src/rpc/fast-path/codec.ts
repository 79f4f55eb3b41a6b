import { fromBinary, fromJson, type DescMessage, type JsonValue, type MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { rawJson } from "../../json/exact-number.ts";

/**
 * How deep messages may nest. A level of arguments costs one in JSON and two in binary: with these both forms take 197
 * levels, and the executor's own limit, far below, gives the same verdict for both.
 */
export const jsonReadOptions = { ignoreUnknownFields: true, recursionLimit: 200 } as const;

/** The same for the binary form. */
export const binaryReadOptions = { recursionLimit: 396 } as const;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Reads a message in its JSON form. Throws invalid_argument. Of a key that occurs twice the last one counts. */
export function messageFromJson(desc: DescMessage, bytes: Uint8Array): MessageShape<DescMessage> {
  try {
    return fromJson(desc, jsonFrom(desc, bytes), jsonReadOptions);
  } catch (reason) {
    throw malformed(reason);
  }
}

/** Reads a message in its binary form. Throws invalid_argument. */
export function messageFromBinary(desc: DescMessage, bytes: Uint8Array): MessageShape<DescMessage> {
  try {
    return fromBinary(desc, bytes, binaryReadOptions);
  } catch (reason) {
    throw malformed(reason, "parse binary: ");
  }
}

/**
 * Decodes UTF-8 for Connect's own JSON parser. It throws where the text is not UTF-8, and leaves only the last of
 * duplicate keys, which that parser would refuse. `1e999` stays beyond all numbers: the executor has to see it.
 */
export const strictJsonDecoder = {
  decode(bytes: Uint8Array): string {
    const text = utf8.decode(bytes);
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      return text;
    }
    return JSON.stringify(json, (_, value: unknown) =>
      typeof value === "number" && !Number.isFinite(value) ? rawJson(value > 0 ? "1e999" : "-1e999") : value,
    );
  },
};

function jsonFrom(desc: DescMessage, bytes: Uint8Array): JsonValue {
  const text = utf8.decode(bytes);
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
