import { Code, ConnectError } from "@connectrpc/connect";
import type { Compression } from "@connectrpc/connect/protocol";
import { rpcError } from "../../errors.ts";
import type { Exchange } from "./http-exchange.ts";

/**
 * Reads a body whole. Rejects with resource_exhausted beyond `maxBytes` bytes, at once where Content-Length says so, and
 * with `canceled` when the client disconnects first.
 */
export function readBody({ body, headers }: Exchange, maxBytes: number, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const announced = headers["content-length"];
    if (announced !== undefined && Number(announced) > maxBytes) {
      // The rest is read and thrown away: an unread body would hold the stream open.
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

/** The bytes of a message that may be compressed. Rejects with resource_exhausted where they would become too many. */
export async function decompressed(bytes: Uint8Array, compression: Compression, limit: number): Promise<Uint8Array> {
  try {
    return await compression.decompress(bytes, limit);
  } catch (reason) {
    if (reason instanceof ConnectError && reason.code === Code.ResourceExhausted) throw reason;
    throw new ConnectError("decompression failed", Code.InvalidArgument);
  }
}

/**
 * Takes the one message out of a gRPC or gRPC-Web body: a flag byte, four bytes of length, the message. Throws
 * invalid_argument for a torn body, resource_exhausted beyond the limit, unimplemented for none or several messages.
 */
export function unwrap(body: Buffer, isWeb: boolean, limit: number): { bytes: Buffer; compressed: boolean } {
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
