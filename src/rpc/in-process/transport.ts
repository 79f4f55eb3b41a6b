import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type DescService,
  type MessageShape,
} from "@bufbuild/protobuf";
import type {
  ContextValues,
  MethodImplSpec,
  ServiceImplSpec,
  StreamResponse,
  Transport,
  UnaryResponse,
} from "@connectrpc/connect";
import type { Caller } from "../../auth/caller.ts";
import { rpcError } from "../../errors.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { kTrace } from "../../telemetry/trace-key.ts";
import { CallValues, kCaller } from "../call-values.ts";
import { faultFrom } from "../rpc-errors.ts";
import { invokeUnary, untilEnded } from "../invoke.ts";
import { inProcess, ServedCall } from "../served-call.ts";

/** Who speaks through an in-process transport, and who logs its faults. */
export interface InProcessOptions {
  /** The caller of every call, unless the call's context values name another. */
  readonly caller: Caller;
  readonly telemetry: Pick<Telemetry, "log">;
}

/**
 * A Connect transport to services in the same process: messages are handed over as they are, without serialising. They
 * pass the same checks, deadlines and error mapping as calls from outside. Faults are ConnectErrors.
 */
export function createInProcessTransport(services: readonly ServiceImplSpec[], options: InProcessOptions): Transport {
  const methods = new Map<DescMethod, MethodImplSpec>();
  for (const { methods: specs } of services) for (const spec of Object.values(specs)) methods.set(spec.method, spec);
  const { log } = options.telemetry;

  const callOf = (
    method: DescMethod,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: ConstructorParameters<typeof Headers>[0],
    values: ContextValues | undefined,
  ) =>
    new ServedCall({
      method,
      protocolName: inProcess,
      url: "",
      values: new CallValues(values?.get(kCaller) ?? options.caller, values?.get(kTrace)),
      signal,
      timeoutMs,
      header: header === undefined ? undefined : () => new Headers(header),
    });

  return {
    async unary(method, signal, timeoutMs, header, input, values) {
      const spec = methods.get(method);
      if (spec?.kind !== "unary") throw rpcError("unimplemented", method.name);
      const call = callOf(method, signal, timeoutMs, header, values);
      try {
        const invoked = invokeUnary(spec, create(method.input, input), call);
        const message = invoked instanceof Promise ? await invoked : invoked;
        return new InProcessAnswer(method, message as MessageShape<typeof method.output>, call);
      } catch (reason) {
        throw faultFrom(reason, method.name, log);
      } finally {
        call.release();
      }
    },

    async stream(method, signal, timeoutMs, header, input, values) {
      const spec = methods.get(method);
      if (spec === undefined || spec.kind === "unary") throw rpcError("unimplemented", method.name);
      const call = callOf(method, signal, timeoutMs, header, values);
      const message = streamed(spec, input as AsyncIterable<MessageShape<DescMessage>>, call, log);
      return new InProcessStream(method, message as AsyncIterable<MessageShape<typeof method.output>>, call);
    },
  };
}

async function* streamed(
  spec: Exclude<MethodImplSpec, { kind: "unary" }>,
  input: AsyncIterable<MessageShape<DescMessage>>,
  call: ServedCall,
  log: Telemetry["log"],
): AsyncGenerator<MessageShape<DescMessage>, void, undefined> {
  let finished = false;
  try {
    for await (const item of untilEnded(outputOf(spec, input, call), call.signal))
      yield create(spec.method.output, item);
    finished = true;
  } catch (reason) {
    finished = true;
    throw faultFrom(reason, spec.method.name, log);
  } finally {
    if (!finished) call.end(rpcError("canceled"));
    call.release();
  }
}

async function* outputOf(
  spec: Exclude<MethodImplSpec, { kind: "unary" }>,
  input: AsyncIterable<MessageShape<DescMessage>>,
  call: ServedCall,
) {
  const messages = normalised(spec.method.input, input);
  if (spec.kind === "client_streaming") yield await spec.impl(messages, call);
  else if (spec.kind === "bidi_streaming") yield* spec.impl(messages, call);
  else for await (const message of messages) yield* spec.impl(message, call);
}

async function* normalised(desc: DescMessage, input: AsyncIterable<MessageShape<DescMessage>>) {
  for await (const message of input) yield create(desc, message);
}

/** A unary answer whose headers are made when somebody asks for them. */
class InProcessAnswer<I extends DescMessage, O extends DescMessage> implements UnaryResponse<I, O> {
  readonly stream = false;
  readonly method: DescMethodUnary<I, O>;
  readonly message: MessageShape<O>;
  readonly #call: ServedCall;

  constructor(method: DescMethodUnary<I, O>, message: MessageShape<O>, call: ServedCall) {
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
  readonly #call: ServedCall;

  constructor(method: DescMethodStreaming<I, O>, message: AsyncIterable<MessageShape<O>>, call: ServedCall) {
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
