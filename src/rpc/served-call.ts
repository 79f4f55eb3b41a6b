import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { ConnectError, Code, type ContextValues, type HandlerContext } from "@connectrpc/connect";
import { rpcError } from "../errors.ts";
import type { CancellationToken } from "../executor/cancellation.ts";

/** What one call was made with. */
export interface CallInit {
  readonly method: DescMethod;
  readonly protocolName: string;
  readonly url: string;
  readonly values: ContextValues;
  /** Fires when the caller goes away. */
  readonly signal?: AbortSignal | undefined;
  /** The caller's own deadline in milliseconds from now, at most 2^31 - 1. */
  readonly timeoutMs?: number | undefined;
  /** Builds the request headers when somebody asks for them. */
  readonly header?: (() => Headers) | undefined;
}

/**
 * One call as its implementation sees it. Whatever costs time (headers, signal, timer) is made on first use only; with
 * Connect's own context each call pays for all of it.
 */
export class ServedCall implements HandlerContext, CancellationToken {
  readonly method: DescMethod;
  readonly service: DescService;
  readonly protocolName: string;
  readonly requestMethod = "POST";
  readonly url: string;
  readonly values: ContextValues;
  /** What the caller gave, as opposed to `signal`, which always exists. */
  readonly #outer: AbortSignal | undefined;
  readonly #deadline: number | undefined;
  readonly #header: (() => Headers) | undefined;
  #controller: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #reason: ConnectError | undefined;
  #listeners: Set<(reason: ConnectError) => void> | undefined;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;
  #unlink: (() => void) | undefined;

  constructor(init: CallInit) {
    this.method = init.method;
    this.service = init.method.parent;
    this.protocolName = init.protocolName;
    this.url = init.url;
    this.values = init.values;
    this.#outer = init.signal;
    this.#header = init.header;
    if (init.timeoutMs === undefined) {
      this.#deadline = undefined;
    } else {
      this.#deadline = performance.now() + init.timeoutMs;
      this.#timer = setTimeout(() => this.end(rpcError("deadline")), Math.max(0, init.timeoutMs));
    }
  }

  /** Fires with a ConnectError when the caller goes away or its deadline passes. Never fires at a good end. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      this.#follow();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Whether anything could end the call early: without it nobody need listen to `signal`. */
  get canEndEarly(): boolean {
    return this.#outer !== undefined || this.#deadline !== undefined || this.protocolName !== inProcess;
  }

  /** Why the call ended early, if it did. */
  get cancelled(): ConnectError | undefined {
    if (this.#outer?.aborted === true) this.end(endFrom(this.#outer.reason));
    return this.#reason;
  }

  timeoutMs = (): number | undefined => (this.#deadline === undefined ? undefined : this.#deadline - performance.now());

  get requestHeader(): Headers {
    return (this.#requestHeader ??= this.#header?.() ?? new Headers());
  }

  get responseHeader(): Headers {
    return (this.#responseHeader ??= new Headers());
  }

  get responseTrailer(): Headers {
    return (this.#responseTrailer ??= new Headers());
  }

  /** The response headers, if anybody asked for them. */
  get touchedHeader(): Headers | undefined {
    return this.#responseHeader;
  }

  /** The response trailers, if anybody asked for them. */
  get touchedTrailer(): Headers | undefined {
    return this.#responseTrailer;
  }

  /** Ends the call early: fires the signal and tells whoever races against it. */
  end(reason: ConnectError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.release();
    this.#controller?.abort(reason);
    for (const listener of this.#listeners ?? []) listener(reason);
    this.#listeners = undefined;
  }

  /** Calls `listener` once when the call ends early, at once where it has. Returns what unsubscribes it. */
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

  /** Listens to the caller's signal, from when the first one needs to know. */
  #follow(): void {
    const outer = this.#outer;
    if (outer === undefined || this.cancelled !== undefined || this.#unlink !== undefined) return;
    const onAbort = (): void => this.end(endFrom(outer.reason));
    outer.addEventListener("abort", onAbort, { once: true });
    this.#unlink = () => outer.removeEventListener("abort", onAbort);
  }

  /** Stops the timer and lets go of the caller's signal: the call has its answer. */
  release(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#unlink?.();
    this.#unlink = undefined;
  }
}

/** Name of the protocol of calls inside the process. */
export const inProcess = "in-process";

function endFrom(reason: unknown): ConnectError {
  if (reason instanceof ConnectError && reason.code !== Code.Aborted) return reason;
  if (reason instanceof Error && reason.name === "TimeoutError") return rpcError("deadline");
  return rpcError("canceled");
}
