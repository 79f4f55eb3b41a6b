import { setImmediate } from "node:timers/promises";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Compression } from "@connectrpc/connect/protocol";
import { rpcError } from "../../errors.ts";
import {
  messageFromBinary,
  messageFromJson,
  type MessageLimits,
  ownTurnBytes,
  parseMessage,
} from "../decode-message.ts";
import type { Exchange } from "./http-exchange.ts";
import type { Protocol } from "./protocol.ts";

/**
 * Reads the message of a unary request: reads the body, unwraps the frame, decompresses and decodes. Rejects with a
 * ConnectError.
 */
export async function readMessage(
  exchange: Exchange,
  protocol: Protocol,
  desc: DescMessage,
  { compression, limits }: { readonly compression: Compression | null; readonly limits: MessageLimits },
): Promise<MessageShape<DescMessage>> {
  const limit = limits.readMaxBytes;
  let bytes: Uint8Array;
  if (protocol.name === "connect") {
    bytes = await readBody(exchange, limit, limit);
    if (compression !== null) bytes = await decompressed(bytes, compression, limit);
  } else {
    // Leaves room for the frame, and for the trailers that gRPC-Web allows after the message.
    const body = await readBody(exchange, limit + 4096, limit);
    const message = unwrap(body, protocol.name === "grpc-web", limit);
    bytes = message.bytes;
    if (message.compressed) {
      if (compression === null)
        throw rpcError("malformed-message", "received compressed envelope, but do not know how to decompress");
      bytes = await decompressed(bytes, compression, limit);
    }
  }
  const isLarge = bytes.length > ownTurnBytes;
  const json = protocol.binary ? undefined : parseMessage(desc, bytes);
  if (isLarge && json !== undefined) await setImmediate();
  const message = json === undefined ? messageFromBinary(desc, bytes, limits) : messageFromJson(desc, json, limits);
  if (isLarge) await setImmediate();
  return message;
}

/**
 * Reads the whole body. Rejects with resource_exhausted if it exceeds `maxBytes` (immediately, if Content-Length says
 * so), and with `canceled` if the client disconnects first.
 */
function readBody({ body, headers }: Exchange, maxBytes: number, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const announced = headers["content-length"];
    if (announced !== undefined && Number(announced) > maxBytes) {
      // The rest is read and discarded, because an unread body would keep the stream open.
      body.resume();
      return reject(tooLarge(limit, Number(announced)));
    }
    // Node ends an HTTP/2 stream without a body before anybody listens.
    if (body.readableEnded) return resolve(Buffer.alloc(0));
    let first: Buffer | undefined;
    let more: Buffer[] | undefined;
    let size = 0;
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) {
        body.off("data", onData);
        body.resume();
        return reject(tooLarge(limit));
      }
      if (first === undefined) first = chunk;
      else (more ??= [first]).push(chunk);
    };
    body.on("data", onData);
    body.on("end", () => resolve(more === undefined ? (first ?? Buffer.alloc(0)) : Buffer.concat(more)));
    const onAborted = (): void => reject(rpcError("canceled"));
    body.on("error", onAborted);
    body.on("aborted", onAborted);
  });
}

/** Decompresses a message if necessary. Rejects with resource_exhausted if the result is too large. */
async function decompressed(bytes: Uint8Array, compression: Compression, limit: number): Promise<Uint8Array> {
  try {
    return await compression.decompress(bytes, limit);
  } catch (reason) {
    if (reason instanceof ConnectError && reason.code === Code.ResourceExhausted) throw reason;
    throw new ConnectError("decompression failed", Code.InvalidArgument);
  }
}

/**
 * Extracts the only message from a gRPC or gRPC-Web body: a flag byte, four bytes of length, the message. Throws
 * invalid_argument for an incomplete body, resource_exhausted beyond the limit, and unimplemented for none or several
 * messages.
 */
function unwrap(body: Buffer, isWeb: boolean, limit: number): { bytes: Buffer; compressed: boolean } {
  let found: { bytes: Buffer; compressed: boolean } | undefined;
  let offset = 0;
  while (body.length - offset >= 5) {
    const flags = body[offset] ?? 0;
    const length = body.readUInt32BE(offset + 1);
    if (length > limit) throw tooLarge(limit, length);
    if (body.length - offset - 5 < length) break;
    const bytes = body.subarray(offset + 5, offset + 5 + length);
    offset += 5 + length;
    if (isWeb && (flags & 0x80) !== 0) continue;
    if (found !== undefined)
      throw new ConnectError("protocol error: received extra input message for unary method", Code.Unimplemented);
    found = { bytes, compressed: (flags & 1) !== 0 };
  }
  if (offset < body.length) throw new ConnectError("protocol error: incomplete envelope", Code.InvalidArgument);
  if (found === undefined)
    throw new ConnectError("protocol error: missing input message for unary method", Code.Unimplemented);
  return found;
}

function tooLarge(limit: number, size?: number): ConnectError {
  const what = size === undefined ? "message size" : `message size ${size}`;
  return rpcError("message-too-large", `${what} is larger than configured readMaxBytes ${limit}`);
}
