import type { IncomingHttpHeaders } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { DescMessage } from "@bufbuild/protobuf";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import type { ConnectError, ServiceImplSpec } from "@connectrpc/connect";
import { compressionNegotiate, type Compression } from "@connectrpc/connect/protocol";
import { rpcError } from "../../errors.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { callerOf, type CallerFromAuthorization } from "../authenticate.ts";
import { CallValues } from "../call-values.ts";
import { messageFromBinary, messageFromJson, stockWriter, type MessageWriter } from "./codec.ts";
import { type Exchange, StreamExchange, WireExchange } from "./http-exchange.ts";
import { faultFrom } from "../rpc-errors.ts";
import { invokeUnary, orEnd, type UnaryMethod } from "../invoke.ts";
import { observe } from "../observe.ts";
import { protocolFrom, type Protocol } from "./protocol.ts";
import { ServedCall } from "../served-call.ts";
import { isOpen } from "../services/services.ts";
import { timeoutFromHeader } from "../timeout.ts";
import { writeAnswer } from "./write-answer.ts";
import { decompressed, readBody, unwrap } from "./read-body.ts";
import { headerOf, headersOf, pathOf, type WireListener } from "./wire-request.ts";

/** What serving RPCs to the outside needs. */
export interface WireParts {
  readonly services: readonly ServiceImplSpec[];
  readonly callerFrom: CallerFromAuthorization;
  readonly telemetry: Telemetry;
  /** Longest message in bytes, also after decompression. */
  readonly readMaxBytes: number;
  /** Writers of messages that know a shorter way than the general one. Their bytes are the same. */
  readonly writers?: ReadonlyMap<DescMessage, MessageWriter> | undefined;
  /** Ends streams that would go on for ever, at the shutdown. */
  readonly shutdownSignal?: AbortSignal | undefined;
}

/** What clients may compress with, and get compressed answers in. */
export const compressions: Compression[] = [compressionGzip, compressionBrotli];

/** A way for RPCs to come in. */
export interface RpcListener {
  /** Takes a request of either HTTP version. */
  request: WireListener;
  /** Takes an HTTP/2 stream and gives what serves it, or leaves it: then it has to come as a request. */
  stream(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
  ): (() => void) | undefined;
}

/**
 * The short way for unary methods of Connect, gRPC and gRPC-Web: the message goes from the socket to the implementation
 * and back without the layers of async generators that make Connect's own way slow. Whatever is not a POST of a unary
 * method in a known content type goes to `fallback`.
 */
export function createUnaryLane(parts: WireParts, fallback: WireListener): RpcListener {
  const methods = new Map<string, UnaryMethod>();
  for (const { service, methods: specs } of parts.services) {
    for (const spec of Object.values(specs)) {
      if (spec.kind === "unary") methods.set(`/${service.typeName}/${spec.method.name}`, spec);
    }
  }
  const take = (httpMethod: string | undefined, exchange: Exchange): (() => void) | undefined => {
    const method = httpMethod === "POST" ? methods.get(pathOf(exchange)) : undefined;
    const protocol = method === undefined ? undefined : protocolFrom(exchange.headers["content-type"]);
    if (method === undefined || protocol === undefined) return undefined;
    return () => {
      serve(parts, method, protocol, exchange).catch((reason: unknown) => {
        parts.telemetry.log.error({ err: reason, rpc: method.method.name }, "an answer could not be written");
        exchange.destroy();
      });
    };
  };
  return {
    request(request, response) {
      const served = take(request.method, new WireExchange(request, response));
      if (served === undefined) fallback(request, response);
      else served();
    },
    stream: (stream, headers, rawHeaders) =>
      take(headers[":method"] as string | undefined, new StreamExchange(stream, headers, rawHeaders)),
  };
}

async function serve(parts: WireParts, spec: UnaryMethod, protocol: Protocol, exchange: Exchange): Promise<void> {
  const { telemetry, readMaxBytes } = parts;
  const { method } = spec;
  const parent = telemetry.extract(headerOf(exchange, "traceparent"), headerOf(exchange, "tracestate"));
  const watched = observe(telemetry, method, protocol.name, parent);
  let call: ServedCall | undefined;
  let compression: Compression | null = null;
  let outcome: { message: Uint8Array | string } | { fault: ConnectError };
  try {
    const agreed = agreedCompression(protocol, exchange);
    compression = agreed.response;
    const caller = callerOf(exchange, parts.callerFrom);
    if (caller === undefined && !isOpen(method.parent)) throw rpcError("unauthenticated");
    if (agreed.error !== undefined) throw agreed.error;
    const timeout = headerOf(exchange, protocol.timeoutHeader);
    call = new ServedCall({
      method,
      protocolName: protocol.name,
      url: exchange.url ?? "",
      values: new CallValues(caller, watched.trace),
      timeoutMs:
        timeout === undefined
          ? undefined
          : timeoutFromHeader(timeout, protocol.name === "connect" ? "connect" : "grpc"),
      header: () => headersOf(exchange),
    });
    const reading = read(protocol, spec, exchange, agreed.request, readMaxBytes);
    const input = timeout === undefined ? await reading : await orEnd(reading, call);
    const invoked = invokeUnary(spec, input, call);
    if (invoked instanceof Promise) endWhenGone(call, exchange);
    // Also where it is there already: all calls of this turn are executed before the first is answered.
    const output = await invoked;
    const writer = parts.writers?.get(method.output) ?? stockWriter(method.output);
    outcome = { message: protocol.binary ? writer.binary(output) : writer.json(output) };
  } catch (reason) {
    // A body that nobody reads would hold the stream open.
    exchange.body.resume();
    outcome = { fault: faultFrom(reason, method.name, telemetry.log) };
  }
  call?.release();
  watched.end("fault" in outcome ? outcome.fault : undefined);
  if (exchange.gone) return;
  await writeAnswer(exchange, {
    protocol,
    outcome,
    compression,
    header: call?.touchedHeader,
    trailer: call?.touchedTrailer,
  });
}

/** Ends a call that is still at work when its client goes away. */
function endWhenGone(call: ServedCall, exchange: Exchange): void {
  const end = (): void => call.end(rpcError("canceled"));
  if (exchange.gone) end();
  else exchange.onGone(end);
}

function agreedCompression(protocol: Protocol, exchange: Exchange): ReturnType<typeof compressionNegotiate> {
  const sent = headerOf(exchange, protocol.encodingHeader);
  const accepted = headerOf(exchange, protocol.acceptEncodingHeader);
  if (accepted === undefined && (sent === undefined || sent === "identity")) return { request: null, response: null };
  return compressionNegotiate(compressions, sent ?? null, accepted ?? null, protocol.acceptEncodingHeader);
}

async function read(
  protocol: Protocol,
  { method }: UnaryMethod,
  exchange: Exchange,
  compression: Compression | null,
  limit: number,
) {
  let bytes: Uint8Array;
  if (protocol.name === "connect") {
    bytes = await readBody(exchange, limit, limit);
    if (compression !== null) bytes = await decompressed(bytes, compression, limit);
  } else {
    // Room for the frame around the message, and for the trailers that gRPC-Web allows after it.
    const body = await readBody(exchange, limit + 4096, limit);
    const message = unwrap(body, protocol.name === "grpc-web", limit);
    bytes = message.bytes;
    if (message.compressed) {
      if (compression === null)
        throw rpcError("malformed-message", "received compressed envelope, but do not know how to decompress");
      bytes = await decompressed(bytes, compression, limit);
    }
  }
  return protocol.binary ? messageFromBinary(method.input, bytes) : messageFromJson(method.input, bytes);
}
