import type { OutgoingHttpHeaders } from "node:http";
import type { ConnectError } from "@connectrpc/connect";
import type { Compression } from "@connectrpc/connect/protocol";
import { mergeNonProtocolHeaders } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import type { Exchange } from "./http-exchange.ts";
import type { Protocol } from "./protocol.ts";

/** Minimum size of a message that is compressed, in bytes. */
const minCompressedBytes = 1024;

/** The answer to a unary call. */
export interface UnaryAnswer {
  readonly protocol: Protocol;
  /** The message, as JSON text or binary after the free head of its frame, or the error. */
  readonly outcome: { readonly message: Buffer | string } | { readonly error: ConnectError };
  readonly compression: Compression | null;
  readonly header: Headers | undefined;
  readonly trailer: Headers | undefined;
  /** CORS headers. */
  readonly originHeaders?: OutgoingHttpHeaders | undefined;
}

const okFrame = frame(0x80, Buffer.from("grpc-status: 0\r\n"));
const okTrailers = { "grpc-status": "0" } as const;

/** Writes an answer. Resolves when it has been handed to the socket. */
export async function writeAnswer(exchange: Exchange, answer: UnaryAnswer): Promise<void> {
  const { protocol, compression } = answer;
  if (protocol.name === "connect") return writeConnect(exchange, answer);
  const head: OutgoingHttpHeaders = { "content-type": protocol.contentType, ...answer.originHeaders };
  if (compression !== null) head[protocol.encodingHeader] = compression.name;
  addTo(head, answer.header);
  let body = "message" in answer.outcome ? framed(answer.outcome.message, protocol.frameHeadBytes) : undefined;
  if (body !== undefined && compression !== null)
    body = await packed(0, body.subarray(protocol.frameHeadBytes), compression);
  const isPlain = body !== undefined && answer.trailer === undefined;
  const trailer = isPlain ? undefined : statusOf(answer);
  if (exchange.aborted) return;
  if (protocol.name === "grpc") {
    exchange.answer(200, head, body, trailer === undefined ? okTrailers : Object.fromEntries(trailer));
  } else {
    const last = trailer === undefined ? okFrame : await packed(0x80, trailerSerialize(trailer), compression);
    if (exchange.aborted) return;
    exchange.answer(200, head, body === undefined ? last : Buffer.concat([body, last]));
  }
}

async function writeConnect(
  exchange: Exchange,
  { protocol, outcome, compression, header, trailer, originHeaders }: UnaryAnswer,
): Promise<void> {
  const head: OutgoingHttpHeaders = { ...originHeaders };
  let status = 200;
  // Text is not converted to bytes: Node sends it in one chunk with the headers, and bytes in a second one.
  let body: Uint8Array | string;
  if ("message" in outcome) {
    head["content-type"] = protocol.contentType;
    body = outcome.message;
  } else {
    status = codeToHttpStatus(outcome.error.code);
    head["content-type"] = "application/json";
    body = errorToJsonBytes(outcome.error, undefined);
    const metadata = new Headers();
    mergeNonProtocolHeaders(metadata, outcome.error.metadata);
    addTo(head, metadata);
  }
  addTo(head, header);
  addTo(head, trailer, "trailer-");
  let length = typeof body === "string" ? Buffer.byteLength(body) : body.length;
  if (compression !== null && length >= minCompressedBytes) {
    body = await compression.compress(bytesOf(body));
    length = body.length;
    head[protocol.encodingHeader] = compression.name;
  }
  if (exchange.aborted) return;
  head["content-length"] = length;
  exchange.answer(status, head, body);
}

function bytesOf(message: Uint8Array | string): Uint8Array {
  return typeof message === "string" ? Buffer.from(message) : message;
}

function statusOf({ outcome, trailer }: UnaryAnswer): Headers {
  const status = new Headers(trailer);
  return setTrailerStatus(status, "error" in outcome ? outcome.error : undefined);
}

async function packed(flags: number, bytes: Uint8Array, compression: Compression | null): Promise<Buffer> {
  if (compression === null || bytes.length < minCompressedBytes) return frame(flags, bytes);
  return frame(flags | 1, await compression.compress(bytes));
}

/** Puts the head of a frame before a message: into the room that a binary one has for it. */
function framed(message: Buffer | string, headBytes: number): Buffer {
  if (typeof message === "string") return frame(0, Buffer.from(message));
  message[0] = 0;
  message.writeUInt32BE(message.length - headBytes, 1);
  return message;
}

function frame(flags: number, bytes: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(bytes.length + 5);
  framed[0] = flags;
  framed.writeUInt32BE(bytes.length, 1);
  framed.set(bytes, 5);
  return framed;
}

function addTo(head: OutgoingHttpHeaders, headers: Headers | undefined, prefix = ""): void {
  headers?.forEach((value, name) => {
    head[prefix + name] = value;
  });
}
