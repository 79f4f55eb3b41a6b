import type { IncomingHttpHeaders } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import type { ConnectError, ServiceImplSpec } from "@connectrpc/connect";
import { compressionNegotiate, type Compression } from "@connectrpc/connect/protocol";
import { rpcError } from "../../errors.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { type OriginHeaders, originHeaders } from "../cors.ts";
import type { MessageLimits } from "../decode-message.ts";
import type { Front } from "../front.ts";
import { RpcCall, type UnaryMethod } from "../rpc-call.ts";
import { type BinaryWriter, createBinaryWriter } from "../../protobuf/binary-writer.ts";
import {
  authorizationOf,
  type Exchange,
  headerOf,
  headersOf,
  type HttpRequest,
  type HttpResponse,
  pathOf,
  RequestExchange,
  StreamExchange,
} from "./http-exchange.ts";
import { writeJson } from "./json-writer.ts";
import { protocolFrom, type Protocol } from "./protocol.ts";
import { readMessage } from "./read-message.ts";
import { writeAnswer } from "./write-answer.ts";

/** Dependencies and settings of the fast path. */
export interface FastPathParts {
  readonly services: readonly ServiceImplSpec[];
  readonly front: Front;
  readonly telemetry: Telemetry;
  readonly messages: MessageLimits;
  /** Origins of web pages that may call. */
  readonly corsOrigins: readonly string[];
}

/** Encodings that clients may use for requests and accept for answers. */
export const compressions: Compression[] = [compressionGzip, compressionBrotli];

/**
 * Serves unary methods of Connect, gRPC and gRPC-Web. It passes the message from the socket to the implementation and
 * back without the async generators of Connect's own handlers. It accepts POST requests of known content types;
 * Connect's handlers serve all others.
 */
export interface FastPath {
  /** Serves a request of either HTTP version. Returns false if it does not accept the request. */
  request(request: HttpRequest, response: HttpResponse): boolean;
  /** Returns the function that serves an HTTP/2 stream; undefined if the stream must be handled as a request. */
  stream(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
  ): (() => void) | undefined;
}

/** Creates the fast path. */
export function createFastPath(parts: FastPathParts): FastPath {
  const methods = new Map<string, UnaryMethod>();
  const serving = { ...parts, headersFor: originHeaders(parts.corsOrigins), writeBinary: createBinaryWriter() };
  for (const { service, methods: specs } of parts.services) {
    for (const spec of Object.values(specs)) {
      if (spec.kind === "unary") methods.set(`/${service.typeName}/${spec.method.name}`, spec);
    }
  }
  const take = (httpMethod: string | undefined, exchange: Exchange): (() => void) | undefined => {
    const method = httpMethod === "POST" ? methods.get(pathOf(exchange)) : undefined;
    if (method === undefined) return undefined;
    const protocol = protocolFrom(exchange.headers["content-type"]);
    if (protocol === undefined) return undefined;
    return () => {
      serve(serving, method, protocol, exchange).catch((reason: unknown) => {
        parts.telemetry.log.error({ err: reason, rpc: method.method.name }, "an answer could not be written");
        exchange.destroy();
      });
    };
  };
  return {
    request(request, response) {
      const start = take(request.method, new RequestExchange(request, response));
      start?.();
      return start !== undefined;
    },
    stream: (stream, headers, rawHeaders) =>
      take(headers[":method"] as string | undefined, new StreamExchange(stream, headers, rawHeaders)),
  };
}

interface ServeParts extends FastPathParts {
  readonly headersFor: OriginHeaders;
  readonly writeBinary: BinaryWriter;
}

async function serve(
  { front, telemetry, messages, headersFor, writeBinary }: ServeParts,
  spec: UnaryMethod,
  protocol: Protocol,
  exchange: Exchange,
): Promise<void> {
  const { method } = spec;
  const compression = negotiate(protocol, exchange);
  const timeout = headerOf(exchange, protocol.timeoutHeader);
  const call = front.begin(
    new RpcCall({
      method,
      protocolName: protocol.name,
      url: exchange.url ?? "",
      authorization: authorizationOf(exchange),
      timeout,
      encodingError: compression.error,
      trace: telemetry.extract(headerOf(exchange, "traceparent"), headerOf(exchange, "tracestate")),
      header: () => headersOf(exchange),
    }),
  );
  let outcome: { message: Buffer | string } | { error: ConnectError };
  try {
    const identifying = front.identify(call);
    if (identifying !== undefined) await identifying;
    front.admit(call);
    const reading = readMessage(exchange, protocol, method.input, {
      compression: compression.request,
      limits: messages,
    });
    const input = timeout === undefined ? await reading : await call.orCancelled(reading);
    const output = call.invoke(spec, input);
    if (output instanceof Promise) cancelOnClose(call, exchange);
    // Awaited even if it is not a promise: all calls of a tick are executed before the first one is answered.
    const message = await output;
    outcome = {
      message: protocol.binary
        ? writeBinary(method.output, message, protocol.frameHeadBytes)
        : writeJson(method.output, message),
    };
    front.end(call);
  } catch (reason) {
    // An unread body would keep the stream open.
    exchange.body.resume();
    outcome = { error: front.end(call, { reason }) ?? rpcError("internal") };
  }
  const { header, trailer } = call.responseMetadata;
  if (exchange.aborted) return;
  const { origin } = exchange.headers;
  await writeAnswer(exchange, {
    protocol,
    outcome,
    compression: compression.response,
    header,
    trailer,
    originHeaders: origin === undefined ? undefined : headersFor(origin),
  });
}

/** Cancels a running call when its client disconnects. */
function cancelOnClose(call: RpcCall, exchange: Exchange): void {
  const cancel = (): void => call.cancel(rpcError("canceled"));
  if (exchange.aborted) cancel();
  else exchange.onClose(cancel);
}

function negotiate(protocol: Protocol, exchange: Exchange): ReturnType<typeof compressionNegotiate> {
  const sent = headerOf(exchange, protocol.encodingHeader);
  const accepted = headerOf(exchange, protocol.acceptEncodingHeader);
  if (accepted === undefined && (sent === undefined || sent === "identity")) return { request: null, response: null };
  return compressionNegotiate(compressions, sent ?? null, accepted ?? null, protocol.acceptEncodingHeader);
}
