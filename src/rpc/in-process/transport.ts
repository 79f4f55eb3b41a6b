import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import {
  type CallOptions,
  type Client,
  createClient,
  type MethodImplSpec,
  type ServiceImplSpec,
  type Transport,
} from "@connectrpc/connect";
import type { Caller } from "../../auth/caller.ts";
import { rpcError } from "../../errors.ts";
import { kJob, kTrace } from "../../telemetry/trace-key.ts";
import type { Front } from "../front.ts";
import { inProcess, RpcCall, type UnaryMethod } from "../rpc-call.ts";
import { untilCancelled } from "../until-cancelled.ts";

/** Options of an in-process transport. */
export interface InProcessOptions {
  /** The caller of every call, already authenticated. */
  readonly caller: Caller;
  readonly front: Front;
}

type StreamingSpec = Exclude<MethodImplSpec, { kind: "unary" }>;

type Messages = AsyncIterable<MessageShape<DescMessage>>;

/**
 * Creates a Connect transport to services in the same process. Messages are passed without serialising, and calls pass
 * the same front as calls from outside. Failures are ConnectErrors.
 */
export function createInProcessTransport(services: readonly ServiceImplSpec[], options: InProcessOptions): Transport {
  const { front } = options;
  const methods = new Map<DescMethod, MethodImplSpec>();
  for (const { methods: specs } of services) for (const spec of Object.values(specs)) methods.set(spec.method, spec);

  return {
    async unary(method, signal, timeoutMs, headers, input, contextValues) {
      const spec = methods.get(method);
      if (spec?.kind !== "unary") throw rpcError("unimplemented", method.name);
      let header = new Headers();
      let trailer = new Headers();
      const onHeader = (received: Headers): void => void (header = received);
      const onTrailer = (received: Headers): void => void (trailer = received);
      const given = { signal, timeoutMs, headers, contextValues, onHeader, onTrailer };
      const message = (await invokeUnary(spec, input, given, options)) as MessageShape<typeof method.output>;
      return { stream: false, service: method.parent, method, message, header, trailer };
    },

    async stream(method, signal, timeoutMs, headers, input, contextValues) {
      const spec = methods.get(method);
      if (spec === undefined || spec.kind === "unary") throw rpcError("unimplemented", method.name);
      const call = inProcessCall(method, { signal, timeoutMs, headers, contextValues }, options);
      front.begin(call);
      const messages = invokeStreaming(() => outputOf(spec, input as Messages, call), call, front);
      return {
        stream: true,
        service: method.parent,
        method,
        message: messages as AsyncIterable<MessageShape<typeof method.output>>,
        get header() {
          return call.responseHeader;
        },
        get trailer() {
          return call.responseTrailer;
        },
      };
    },
  };
}

/**
 * Creates a client of a service in the same process. Its unary and server-streaming methods call the implementation
 * directly: Connect's client and the transport's response would add two promises and two objects to every call of an
 * adapter, and five generators to every job.
 */
export function createInProcessClient<Service extends DescService>(
  service: Service,
  services: readonly ServiceImplSpec[],
  options: InProcessOptions,
): Client<Service> {
  const client = createClient(service, createInProcessTransport(services, options));
  const specs = services.filter((spec) => spec.service === service).flatMap(({ methods }) => Object.values(methods));
  const direct: Record<string, unknown> = {};
  for (const spec of specs) {
    if (spec.kind === "unary") direct[spec.method.localName] = createUnary(spec, options);
    if (spec.kind === "server_streaming") direct[spec.method.localName] = createServerStreaming(spec, options);
  }
  return Object.assign(client, direct);
}

function createUnary(spec: UnaryMethod, options: InProcessOptions) {
  return (input: MessageInitShape<DescMessage>, given: CallOptions = {}) => invokeUnary(spec, input, given, options);
}

function createServerStreaming(spec: StreamingSpec & { kind: "server_streaming" }, options: InProcessOptions) {
  return async function* (input: MessageInitShape<DescMessage>, given: CallOptions = {}) {
    const { front } = options;
    const call = inProcessCall(spec.method, given, options);
    front.begin(call);
    given.onHeader?.(call.responseHeader);
    yield* invokeStreaming(() => spec.impl(create(spec.method.input, input), call), call, front);
    given.onTrailer?.(call.responseTrailer);
  };
}

/** Creates the RpcCall of a method. */
function inProcessCall(
  method: DescMethod,
  { signal, timeoutMs, headers, contextValues }: CallOptions,
  { caller }: InProcessOptions,
): RpcCall {
  return new RpcCall({
    method,
    protocolName: inProcess,
    caller,
    trace: contextValues?.get(kTrace),
    jobId: contextValues?.get(kJob),
    signal,
    timeout: timeoutMs,
    header: headers === undefined ? undefined : () => new Headers(headers),
  });
}

/** Runs a unary method like any call from outside. Rejects with a ConnectError. */
async function invokeUnary(
  spec: UnaryMethod,
  input: MessageInitShape<DescMessage>,
  given: CallOptions,
  options: InProcessOptions,
): Promise<MessageShape<DescMessage>> {
  const { front } = options;
  const call = inProcessCall(spec.method, given, options);
  front.begin(call);
  let message;
  try {
    front.admit(call);
    const output = call.invoke(spec, create(spec.method.input, input));
    message = output instanceof Promise ? await output : output;
  } catch (reason) {
    throw front.end(call, { reason });
  }
  front.end(call);
  given.onHeader?.(call.responseHeader);
  given.onTrailer?.(call.responseTrailer);
  return message;
}

/** Runs a streaming method like any call from outside. Throws a ConnectError. */
async function* invokeStreaming(
  output: () => AsyncIterable<MessageInitShape<DescMessage>>,
  call: RpcCall,
  front: Front,
): AsyncGenerator<MessageShape<DescMessage>, void, undefined> {
  let ended = false;
  try {
    front.admit(call);
    for await (const item of untilCancelled(output(), call)) yield create(call.method.output, item);
    ended = true;
    front.end(call);
  } catch (reason) {
    ended = true;
    throw front.end(call, { reason });
  } finally {
    if (!ended) {
      // The reader has stopped, so the work must be cancelled.
      call.cancel(rpcError("canceled"));
      front.end(call, { reason: rpcError("canceled") });
    }
  }
}

async function* outputOf(spec: StreamingSpec, input: Messages, call: RpcCall) {
  const messages = normalized(spec.method.input, input);
  if (spec.kind === "client_streaming") yield await spec.impl(messages, call);
  else if (spec.kind === "bidi_streaming") yield* spec.impl(messages, call);
  else for await (const message of messages) yield* spec.impl(message, call);
}

async function* normalized(desc: DescMessage, input: Messages) {
  for await (const message of input) yield create(desc, message);
}
