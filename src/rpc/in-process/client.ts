import type { DescService } from "@bufbuild/protobuf";
import { type CallOptions, type Client, createClient, type ServiceImplSpec } from "@connectrpc/connect";
import type { UnaryMethod } from "../rpc-call.ts";
import { createInProcessTransport, type InProcessOptions, inProcessCall, invokeUnary } from "./transport.ts";

/**
 * Makes a client of a service in the same process. Its unary methods go straight to the implementation: Connect's client and
 * the transport's response would be two promises and two objects more for every call of an adapter.
 */
export function createInProcessClient<Service extends DescService>(
  service: Service,
  services: readonly ServiceImplSpec[],
  options: InProcessOptions,
): Client<Service> {
  const client = createClient(service, createInProcessTransport(services, options));
  const specs = services.filter((spec) => spec.service === service).flatMap(({ methods }) => Object.values(methods));
  const unary = specs.filter((spec) => spec.kind === "unary");
  return Object.assign(
    client,
    Object.fromEntries(unary.map((spec) => [spec.method.localName, createUnary(spec, options)])),
  );
}

function createUnary(spec: UnaryMethod, { caller, front }: InProcessOptions) {
  return (input: Parameters<typeof invokeUnary>[1], options?: CallOptions) => {
    const { signal, timeoutMs, headers, contextValues } = options ?? {};
    const call = inProcessCall(spec.method, { caller, front }, [signal, timeoutMs, headers, contextValues]);
    const message = invokeUnary(spec, input, call, front);
    if (options?.onHeader === undefined && options?.onTrailer === undefined) return message;
    return message.then((answer) => {
      options.onHeader?.(call.responseHeader);
      options.onTrailer?.(call.responseTrailer);
      return answer;
    });
  };
}
