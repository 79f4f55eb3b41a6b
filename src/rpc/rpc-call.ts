import { create, type DescMessage, type DescMethod, type DescService, type MessageShape } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createContextKey,
  type ContextKey,
  type ContextValues,
  type HandlerContext,
  type MethodImplSpec,
} from "@connectrpc/connect";
import type { Context, Span } from "@opentelemetry/api";
import type { CallContext } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../auth/caller.ts";
import type { Scope } from "../config/scope.ts";
import { rpcError } from "../errors.ts";
import type { CancellationToken } from "../executor/cancellation.ts";
import { kTrace } from "../telemetry/trace-key.ts";

/** Protocol name of calls inside the process. */
export const inProcess = "in-process";

/** Key of the RpcCall in a call's context values. Services read the caller, the trace and the cancellation from it. */
export const kCall: ContextKey<RpcCall | undefined> = createContextKey<RpcCall | undefined>(undefined, {
  description: "jackfield.call",
});

/** Key of the call's connection in its context values: an HTTP/2 session or a socket. */
export const kConnection: ContextKey<object | undefined> = createContextKey<object | undefined>(undefined, {
  description: "jackfield.connection",
});

/** A unary method with its implementation. */
export type UnaryMethod = Extract<MethodImplSpec, { kind: "unary" }>;

/** Properties of a call that are known before the steps of the front run. */
export interface RpcCallInit {
  readonly method: DescMethod;
  /** `connect`, `grpc`, `grpc-web` or `in-process`. */
  readonly protocolName: string;
  readonly url?: string;
  /** The Authorization header; undefined if there is none, or more than one. */
  readonly authorization?: string | undefined;
  /** The caller, if the transport knows it. Then no key is needed. */
  readonly caller?: Caller | undefined;
  /** Parent of the call's span. */
  readonly trace?: Context | undefined;
  /** Id of the job that the call belongs to. */
  readonly jobId?: string | undefined;
  /** The caller's own deadline: the value of its header, or milliseconds from now. */
  readonly timeout?: string | number | undefined;
  /** The error if the message has an unknown encoding. */
  readonly encodingError?: ConnectError | undefined;
  /** Fires when the caller disconnects. */
  readonly signal?: AbortSignal | undefined;
  /** Creates the request headers on first use. */
  readonly header?: (() => Headers) | undefined;
  /** Context values to use instead of new ones. */
  readonly values?: CallValues;
}

/**
 * One RPC as the front and the services see it, on every path. Headers, signal and timer are created on first use,
 * whereas a Connect context creates all of them for every call.
 */
export class RpcCall implements HandlerContext, CancellationToken {
  readonly method: DescMethod;
  readonly service: DescService;
  readonly protocolName: string;
  readonly requestMethod = "POST";
  readonly url: string;
  readonly values: CallValues;
  readonly authorization: string | undefined;
  readonly timeout: string | number | undefined;
  readonly jobId: string | undefined;
  readonly encodingError: ConnectError | undefined;
  /** Context of the tool call, once its message is read; for log lines. */
  callContext: CallContext | undefined;
  /** Set by the authentication step. Undefined only for services that are open to everybody. */
  caller: Caller | undefined;
  /** The scope for which the call was refused. */
  missingScope: Scope | undefined;
  /** Parent of the spans of the call's work. */
  trace: Context | undefined;
  /** The call's own span, if spans are recorded. */
  span: Span | undefined;
  /** Start of the call, a `performance.now()` value; undefined once its end is recorded. */
  startedAt: number | undefined = performance.now();
  /** False if nothing can end the call early, so that nobody needs to listen. */
  cancellable: boolean;
  /**
   * Set by an implementation that rejects by itself as soon as the call is cancelled. Then nobody else needs to listen.
   */
  isListenedTo = false;
  readonly #outer: AbortSignal | undefined;
  readonly #header: (() => Headers) | undefined;
  #deadline: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #reason: ConnectError | undefined;
  #controller: AbortController | undefined;
  #listeners: Set<(reason: ConnectError) => void> | undefined;
  #unfollow: (() => void) | undefined;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;

  constructor(init: RpcCallInit) {
    this.method = init.method;
    this.service = init.method.parent;
    this.protocolName = init.protocolName;
    this.url = init.url ?? "";
    this.authorization = init.authorization;
    this.timeout = init.timeout;
    this.jobId = init.jobId;
    this.encodingError = init.encodingError;
    this.caller = init.caller;
    this.trace = init.trace;
    this.#outer = init.signal;
    this.#header = init.header;
    this.cancellable = init.signal !== undefined || init.protocolName !== inProcess;
    this.values = init.values ?? new CallValues();
    this.values.call = this;
  }

  /**
   * Runs the implementation of a unary method. Returns the message synchronously if the implementation does. Rejects as
   * soon as the call is cancelled, whether or not the implementation reacts; a later result is dropped.
   */
  invoke(
    { method, impl }: UnaryMethod,
    input: MessageShape<DescMessage>,
  ): MessageShape<DescMessage> | Promise<MessageShape<DescMessage>> {
    if (this.cancelled !== undefined) throw this.cancelled;
    const output = impl(input, this);
    if (!(output instanceof Promise)) return create(method.output, output);
    const ended = this.cancellable && !this.isListenedTo ? this.orCancelled(output) : output;
    return ended.then((message) => create(method.output, message));
  }

  /** Settles like the promise, but rejects with the reason if the call is cancelled first. */
  orCancelled<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const unsubscribe = this.subscribe(reject);
      promise.then(resolve, reject).finally(unsubscribe);
    });
  }

  /** Starts the caller's deadline, in milliseconds from now, at most 2^31 - 1. */
  startDeadline(timeoutMs: number): void {
    this.cancellable = true;
    this.#deadline = performance.now() + timeoutMs;
    this.#timer = setTimeout(() => this.cancel(rpcError("deadline")), Math.max(0, timeoutMs));
  }

  /** Returns the milliseconds until the caller's deadline; undefined if there is none. */
  timeoutMs = (): number | undefined => (this.#deadline === undefined ? undefined : this.#deadline - performance.now());

  get cancelled(): ConnectError | undefined {
    if (this.#outer?.aborted === true) this.cancel(cancellationReason(this.#outer.reason));
    return this.#reason;
  }

  /** Ends the call early, because the caller has disconnected or its deadline has passed. */
  cancel(reason: ConnectError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.release();
    this.#controller?.abort(reason);
    for (const listener of this.#listeners ?? []) listener(reason);
    this.#listeners = undefined;
  }

  subscribe(listener: (reason: ConnectError) => void): () => void {
    this.#follow();
    if (this.#reason !== undefined) {
      listener(this.#reason);
      return () => {};
    }
    const listeners = (this.#listeners ??= new Set());
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Stops the timer and removes the listener on the caller's signal, after the call has been answered. */
  release(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#unfollow?.();
    this.#unfollow = undefined;
  }

  /** The cancellation as a signal. Its reason is a ConnectError. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      this.#follow();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  get requestHeader(): Headers {
    return (this.#requestHeader ??= this.#header?.() ?? new Headers());
  }

  get responseHeader(): Headers {
    return (this.#responseHeader ??= new Headers());
  }

  get responseTrailer(): Headers {
    return (this.#responseTrailer ??= new Headers());
  }

  /** The response headers and trailers that an implementation has set, if any. */
  get responseMetadata(): { readonly header: Headers | undefined; readonly trailer: Headers | undefined } {
    return { header: this.#responseHeader, trailer: this.#responseTrailer };
  }

  /** Starts to listen to the caller's signal, at the first subscription. */
  #follow(): void {
    const outer = this.#outer;
    if (outer === undefined || this.cancelled !== undefined || this.#unfollow !== undefined) return;
    const onAbort = (): void => this.cancel(cancellationReason(outer.reason));
    outer.addEventListener("abort", onAbort, { once: true });
    this.#unfollow = () => outer.removeEventListener("abort", onAbort);
  }
}

/** Context values that hold the call and its trace without a map. */
export class CallValues implements ContextValues {
  call: RpcCall | undefined;
  #others: Map<symbol, unknown> | undefined;

  get<T>(key: ContextKey<T>): T;
  get(key: ContextKey<unknown>): unknown {
    if (key.id === kCall.id) return this.call;
    if (key.id === kTrace.id) return this.call?.trace;
    return this.#others?.has(key.id) ? this.#others.get(key.id) : key.defaultValue;
  }

  set<T>(key: ContextKey<T>, value: T): this {
    (this.#others ??= new Map()).set(key.id, value);
    return this;
  }

  delete(key: ContextKey<unknown>): this {
    this.#others?.delete(key.id);
    return this;
  }
}

function cancellationReason(reason: unknown): ConnectError {
  if (reason instanceof ConnectError && reason.code !== Code.Aborted) return reason;
  if (reason instanceof Error && reason.name === "TimeoutError") return rpcError("deadline");
  return rpcError("canceled");
}
