import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type DescService,
  type MessageShape,
} from "@bufbuild/protobuf";
import {
  type CallOptions,
  type Client,
  createClient,
  type MethodImplSpec,
  type ServiceImplSpec,
  type StreamResponse,
  type Transport,
  type UnaryResponse,
} from "@connectrpc/connect";
import type { Caller } from "../../auth/caller.ts";
import { rpcError } from "../../errors.ts";
import { kJob, kTrace } from "../../telemetry/trace-key.ts";
import type { Front } from "../front.ts";
import { inProcess, RpcCall, type UnaryMethod } from "../rpc-call.ts";
import { untilCancelled } from "../until-cancelled.ts";

/** What an in-process transport needs beside the services. */
export interface InProcessOptions {
  /** The caller of every call: already authenticated. */
  readonly caller: Caller;
  readonly front: Front;
}

type StreamingSpec = Exclude<MethodImplSpec, { kind: "unary" }>;

/**
 * A Connect transport to services in the same process: messages are handed over without serialising. Calls pass the same
 * front as calls from outside. Failures are ConnectErrors.
 */
export function createInProcessTransport(services: readonly ServiceImplSpec[], options: InProcessOptions): Transport {
  const { front } = options;
  const methods = new Map<DescMethod, MethodImplSpec>();
  for (const { methods: specs } of services) for (const spec of Object.values(specs)) methods.set(spec.method, spec);

  return {
    async unary(method, signal, timeoutMs, header, input, values) {
      const spec = methods.get(method);
      if (spec?.kind !== "unary") throw rpcError("unimplemented", method.name);
      const call = inProcessCall(method, options, [signal, timeoutMs, header, values]);
      const message = await invokeUnary(spec, input, call, front);
      return new InProcessResponse(method, message as MessageShape<typeof method.output>, call);
    },

    async stream(method, signal, timeoutMs, header, input, values) {
      const spec = methods.get(method);
      if (spec === undefined || spec.kind === "unary") throw rpcError("unimplemented", method.name);
      const call = inProcessCall(method, options, [signal, timeoutMs, header, values]);
      front.begin(call);
      const message = invokeStreaming(spec, input as AsyncIterable<MessageShape<DescMessage>>, call, front);
      return new InProcessStream(method, message as AsyncIterable<MessageShape<typeof method.output>>, call);
    },
  };
}

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

/** Makes the call of a method. */
function inProcessCall(
  method: DescMethod,
  { caller }: InProcessOptions,
  [signal, timeout, header, values]: CallArguments,
): RpcCall {
  return new RpcCall({
    method,
    protocolName: inProcess,
    caller,
    trace: values?.get(kTrace),
    jobId: values?.get(kJob),
    signal,
    timeout,
    header: header === undefined ? undefined : () => new Headers(header),
  });
}

/** Runs a unary method as every call from outside is run. Rejects with a ConnectError. */
async function invokeUnary(
  spec: UnaryMethod,
  input: Parameters<typeof create>[1],
  call: RpcCall,
  front: Front,
): Promise<MessageShape<DescMessage>> {
  front.begin(call);
  try {
    front.admit(call);
    const output = call.invoke(spec, create(spec.method.input, input));
    const message = output instanceof Promise ? await output : output;
    front.end(call);
    return message;
  } catch (reason) {
    throw front.end(call, { reason });
  }
}

type CallArguments = [
  signal: Parameters<Transport["unary"]>[1],
  timeoutMs: Parameters<Transport["unary"]>[2],
  header: Parameters<Transport["unary"]>[3],
  values: Parameters<Transport["unary"]>[5],
];

async function* invokeStreaming(
  spec: StreamingSpec,
  input: AsyncIterable<MessageShape<DescMessage>>,
  call: RpcCall,
  front: Front,
): AsyncGenerator<MessageShape<DescMessage>, void, undefined> {
  let ended = false;
  try {
    front.admit(call);
    for await (const item of untilCancelled(outputOf(spec, input, call), call)) yield create(spec.method.output, item);
    ended = true;
    front.end(call);
  } catch (reason) {
    ended = true;
    throw front.end(call, { reason });
  } finally {
    if (!ended) {
      // The reader has stopped: the work must learn of it.
      call.cancel(rpcError("canceled"));
      front.end(call, { reason: rpcError("canceled") });
    }
  }
}

async function* outputOf(spec: StreamingSpec, input: AsyncIterable<MessageShape<DescMessage>>, call: RpcCall) {
  const messages = normalized(spec.method.input, input);
  if (spec.kind === "client_streaming") yield await spec.impl(messages, call);
  else if (spec.kind === "bidi_streaming") yield* spec.impl(messages, call);
  else for await (const message of messages) yield* spec.impl(message, call);
}

async function* normalized(desc: DescMessage, input: AsyncIterable<MessageShape<DescMessage>>) {
  for await (const message of input) yield create(desc, message);
}

/** The answer to a unary call. Its headers are created on first use. */
class InProcessResponse<I extends DescMessage, O extends DescMessage> implements UnaryResponse<I, O> {
  readonly stream = false;
  readonly method: DescMethodUnary<I, O>;
  readonly message: MessageShape<O>;
  readonly #call: RpcCall;

  constructor(method: DescMethodUnary<I, O>, message: MessageShape<O>, call: RpcCall) {
    this.method = method;
    this.message = message;
    this.#call = call;
  }

  get service(): DescService {
    return this.method.parent;
  }

  get header(): Headers {
    return this.#call.responseHeader;
  }

  get trailer(): Headers {
    return this.#call.responseTrailer;
  }
}

/** The same for a stream of answers. */
class InProcessStream<I extends DescMessage, O extends DescMessage> implements StreamResponse<I, O> {
  readonly stream = true;
  readonly method: DescMethodStreaming<I, O>;
  readonly message: AsyncIterable<MessageShape<O>>;
  readonly #call: RpcCall;

  constructor(method: DescMethodStreaming<I, O>, message: AsyncIterable<MessageShape<O>>, call: RpcCall) {
    this.method = method;
    this.message = message;
    this.#call = call;
  }

  get service(): DescService {
    return this.method.parent;
  }

  get header(): Headers {
    return this.#call.responseHeader;
  }

  get trailer(): Headers {
    return this.#call.responseTrailer;
  }
}
