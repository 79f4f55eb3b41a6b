/** Framing and encoding of a unary request. */
export interface Protocol {
  readonly name: "connect" | "grpc" | "grpc-web";
  readonly binary: boolean;
  /** Content type of the answer. */
  readonly contentType: string;
  readonly timeoutHeader: string;
  readonly encodingHeader: string;
  readonly acceptEncodingHeader: string;
  /** Bytes before a message: a flag and the length, where messages are framed. */
  readonly frameHeadBytes: number;
}

function protocol(name: Protocol["name"], binary: boolean): Protocol {
  const codec = binary ? "proto" : "json";
  const isConnect = name === "connect";
  return {
    name,
    binary,
    contentType: isConnect ? `application/${codec}` : `application/${name}+${codec}`,
    timeoutHeader: isConnect ? "connect-timeout-ms" : "grpc-timeout",
    encodingHeader: isConnect ? "content-encoding" : "grpc-encoding",
    acceptEncodingHeader: isConnect ? "accept-encoding" : "grpc-accept-encoding",
    frameHeadBytes: isConnect ? 0 : 5,
  };
}

const connectJson = protocol("connect", false);
const connectProto = protocol("connect", true);
const grpcJson = protocol("grpc", false);
const grpcProto = protocol("grpc", true);
const grpcWebJson = protocol("grpc-web", false);
const grpcWebProto = protocol("grpc-web", true);

const usual: ReadonlyMap<string, Protocol> = new Map([
  ["application/json", connectJson],
  ["application/proto", connectProto],
  ["application/grpc", grpcProto],
  ["application/grpc+proto", grpcProto],
  ["application/grpc-web", grpcWebProto],
  ["application/grpc-web+proto", grpcWebProto],
]);

const unusual =
  /^application\/(grpc\+|grpc-web\+|)json(?:; ?charset=utf-?8)?$|^application\/(grpc-web|grpc)?\+?proto$|^application\/(grpc-web|grpc)$/i;

/** Returns the protocol of a unary request by its content type; undefined for unknown types. */
export function protocolFrom(contentType: string | undefined): Protocol | undefined {
  if (contentType === undefined) return undefined;
  const found = usual.get(contentType);
  if (found !== undefined || !unusual.test(contentType)) return found;
  const lower = contentType.toLowerCase();
  const bare = usual.get(lower);
  if (bare !== undefined) return bare;
  if (lower.startsWith("application/json")) return connectJson;
  if (lower.startsWith("application/grpc+json")) return grpcJson;
  return lower.startsWith("application/grpc-web+json") ? grpcWebJson : undefined;
}
