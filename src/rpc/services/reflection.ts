import { createRegistry, toBinary, type DescFile, type DescService, type MessageInitShape } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import {
  ServerReflection as ServerReflectionV1,
  type ServerReflectionRequest as RequestV1,
  type ServerReflectionResponseSchema as ResponseV1,
} from "../../../gen/grpc/reflection/v1/reflection_pb.ts";
import {
  ServerReflection as ServerReflectionV1Alpha,
  type ServerReflectionRequest as RequestV1Alpha,
  type ServerReflectionResponseSchema as ResponseV1Alpha,
} from "../../../gen/grpc/reflection/v1alpha/reflection_pb.ts";

/** Both versions of reflection: the same messages under two names. */
export { ServerReflectionV1, ServerReflectionV1Alpha };

type Answer = NonNullable<MessageInitShape<typeof ResponseV1>["messageResponse"]>;

/**
 * Creates the implementation of reflection, which returns the files of the services and everything that they import.
 */
export function createReflection(services: readonly DescService[]) {
  const files = new Map<string, DescFile>();
  for (const service of services) for (const file of closure(service.file)) files.set(file.proto.name, file);
  const registry = createRegistry(...files.values());
  const encoded = new Map<DescFile, Uint8Array>();
  const encode = (file: DescFile): Uint8Array => {
    const bytes = encoded.get(file) ?? toBinary(FileDescriptorProtoSchema, file.proto);
    encoded.set(file, bytes);
    return bytes;
  };
  const fileOf = (symbol: string): DescFile | undefined =>
    registry.get(symbol)?.file ?? registry.get(symbol.slice(0, Math.max(0, symbol.lastIndexOf("."))))?.file;

  function answer(request: RequestV1["messageRequest"], sent: Set<DescFile>): Answer {
    const withFiles = (file: DescFile | undefined, name: string): Answer => {
      if (file === undefined) return refusal(Code.NotFound, `${name} not found`);
      const fresh = [...closure(file)].filter((each) => each === file || !sent.has(each));
      for (const each of fresh) sent.add(each);
      return { case: "fileDescriptorResponse", value: { fileDescriptorProto: fresh.map(encode) } };
    };
    switch (request.case) {
      case "listServices":
        return {
          case: "listServicesResponse",
          value: { service: services.map(({ typeName }) => ({ name: typeName })) },
        };
      case "fileByFilename":
        return withFiles(files.get(request.value), request.value);
      case "fileContainingSymbol":
        return withFiles(fileOf(request.value), request.value);
      case "fileContainingExtension":
        return refusal(Code.NotFound, `${request.value.containingType} has no extensions`);
      case "allExtensionNumbersOfType":
        return registry.getMessage(request.value) === undefined
          ? refusal(Code.NotFound, `${request.value} not found`)
          : { case: "allExtensionNumbersResponse", value: { baseTypeName: request.value, extensionNumber: [] } };
      default:
        return refusal(Code.InvalidArgument, "message_request must be set");
    }
  }

  async function* info(requests: AsyncIterable<RequestV1>): AsyncGenerator<MessageInitShape<typeof ResponseV1>> {
    const sent = new Set<DescFile>();
    for await (const request of requests) {
      yield {
        validHost: request.host,
        originalRequest: request,
        messageResponse: answer(request.messageRequest, sent),
      };
    }
  }

  async function* infoAlpha(
    requests: AsyncIterable<RequestV1Alpha>,
  ): AsyncGenerator<MessageInitShape<typeof ResponseV1Alpha>> {
    const sent = new Set<DescFile>();
    for await (const request of requests) {
      const messageResponse = answer(request.messageRequest as RequestV1["messageRequest"], sent);
      yield {
        validHost: request.host,
        originalRequest: request,
        messageResponse: messageResponse as MessageInitShape<typeof ResponseV1Alpha>["messageResponse"] & {},
      };
    }
  }

  return { v1: { serverReflectionInfo: info }, v1alpha: { serverReflectionInfo: infoAlpha } };
}

function refusal(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}

/** Returns a file and everything that it imports, the file first. */
function closure(file: DescFile, seen = new Set<DescFile>()): Set<DescFile> {
  if (!seen.has(file)) {
    seen.add(file);
    for (const imported of file.dependencies) closure(imported, seen);
  }
  return seen;
}
