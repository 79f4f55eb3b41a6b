import type { DescMessage, DescMethod, JsonObject, MessageShape } from "@bufbuild/protobuf";
import { type ConnectRouter, type ContextKey, type ContextValues, createContextKey } from "@connectrpc/connect";
import {
  assertByteStreamRequest,
  type Compression,
  compressionNegotiate,
  pipe,
  transformDecompressEnvelope,
  transformJoinEnvelopes,
  transformSplitEnvelope,
  type UniversalServerRequest,
} from "@connectrpc/connect/protocol";
import { bulkFieldsOf, putStructs } from "../protobuf/bulk-fields.ts";
import { type MessageLimits, splitMessage } from "./decode-message.ts";

/** A message in its frame: flags, and the bytes, which may be compressed. */
type Frame = ReturnType<ReturnType<typeof transformSplitEnvelope>> extends AsyncIterable<infer T> ? T : never;

/** Key of the Structs of the message that Connect's handler decodes next; undefined if it is not split. */
const kStructs: ContextKey<readonly JsonObject[] | undefined> = createContextKey<readonly JsonObject[] | undefined>(
  undefined,
  { description: "jackfield.structs" },
);

/**
 * Lets Connect's handlers of streaming methods decode only the skeletons of large messages. They have no option to
 * decode a message differently, so the bytes of the request are replaced. `restoreMessage` completes the message.
 */
export function splitStreams(router: ConnectRouter, compressions: Compression[], limits: MessageLimits): void {
  for (const [index, handler] of router.handlers.entries()) {
    const { methodKind, input } = handler.method;
    if (methodKind === "unary" || bulkFieldsOf(input).fields.length === 0) continue;
    const serve = (request: UniversalServerRequest) => handler(split(request, handler.method, compressions, limits));
    router.handlers[index] = Object.assign(serve, handler);
  }
}

/** Puts the Structs into a message of a streaming method that has just been decoded. */
export function restoreMessage(desc: DescMessage, message: MessageShape<DescMessage>, values: ContextValues): void {
  const structs = values.get(kStructs);
  if (structs !== undefined) putStructs(bulkFieldsOf(desc), message, structs.values());
}

function split(
  request: UniversalServerRequest,
  { input }: DescMethod,
  compressions: Compression[],
  limits: MessageLimits,
): UniversalServerRequest {
  assertByteStreamRequest(request);
  const { body, header, contextValues } = request;
  const encoding = header.get("grpc-encoding") ?? header.get("connect-content-encoding");
  const compression = compressionNegotiate(compressions, encoding, null, "");
  // Connect refuses the encoding.
  if (compression.error !== undefined || contextValues === undefined) return request;
  const isBinary = header.get("content-type")?.toLowerCase().includes("json") !== true;
  async function* skeletons(frames: AsyncIterable<Frame>): AsyncGenerator<Frame> {
    for await (const frame of frames) {
      // Any flag but that of compression marks trailers.
      const message = frame.flags === 0 ? await splitMessage(input, frame.data, isBinary, limits) : undefined;
      contextValues?.set(kStructs, message?.structs);
      yield message === undefined ? frame : { flags: 0, data: message.bytes };
    }
  }
  return {
    ...request,
    body: pipe(
      body,
      transformSplitEnvelope(limits.readMaxBytes),
      transformDecompressEnvelope(compression.request, limits.readMaxBytes),
      skeletons,
      transformJoinEnvelopes(),
    ),
  };
}
