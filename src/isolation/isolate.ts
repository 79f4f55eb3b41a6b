import { parseJson } from "../json/exact-number.ts";
import type { ExecutionContext } from "../plugin/tool.ts";
import type { FromIsolate, IsolateRequests, RequestEnd, ToIsolate } from "./isolation-protocol.ts";
import { errorFromThrown, thrownFrom } from "./isolation-protocol.ts";

/** The connection to a started thread or process. */
export interface Transport {
  /** Sends a message. A message that can no longer be sent is dropped: `end` is reported anyway. */
  post(message: ToIsolate): void;
  /** Terminates it at once, whatever it is doing. */
  kill(): void;
  /** Sets whether calls run in it, which keeps the service's process alive. */
  setBusy(busy: boolean): void;
}

/** Starts a thread or process. `end` is called once, after its last message. */
export type StartTransport = (on: { message(message: FromIsolate): void; end(reason: string): void }) => Transport;

/** Thrown if a thread or process ended before a request did. */
export class IsolateEndedError extends Error {
  override readonly name: string = "IsolateEndedError";
  /** Whether the plugin's function had been called. */
  readonly started: boolean;

  constructor(reason: string, started: boolean) {
    super(reason);
    this.started = started;
  }
}

/** A thread or process that runs a plugin. */
export interface Isolate {
  /** Whether it has ended. */
  readonly ended: boolean;
  /**
   * Calls a function of the plugin. When the signal fires, the plugin's signal fires too; if the function has not ended
   * 50 ms later, the isolate is terminated. Rejects with an IsolateEndedError.
   */
  request<Method extends keyof IsolateRequests>(
    method: Method,
    input: IsolateRequests[Method],
    signal: AbortSignal,
    context?: ExecutionContext,
  ): Promise<RequestEnd>;
  /** Terminates it on purpose. */
  kill(): void;
}

/** How long a function may continue after its signal has fired, in milliseconds. */
const graceMs = 50;

/**
 * Maximum time until an isolate starts a request, in milliseconds. A longer delay means that an earlier call still
 * keeps it busy.
 */
const startTimeoutMs = 1000;

interface OpenRequest {
  readonly context: ExecutionContext | undefined;
  readonly startTimer: NodeJS.Timeout | undefined;
  started: boolean;
  settle(end: RequestEnd): void;
  reject(reason: IsolateEndedError): void;
}

/** Starts an isolate. `onEnd` is called when it has ended; `killed` is true if that was on purpose. */
export function createIsolate(start: StartTransport, onEnd: (isolate: Isolate, killed: boolean) => void): Isolate {
  const open = new Map<number, OpenRequest>();
  let count = 0;
  let killed = false;
  let endReason: string | undefined;
  /** Recent calls, because a log line may arrive after its call has ended. */
  const latest = new Map<number, ExecutionContext>();

  const transport = start({
    message(message) {
      try {
        receive(message);
      } catch {
        // DANGER: a plugin can send messages that are not part of the protocol.
        kill();
      }
    },
    end(reason) {
      if (endReason !== undefined) return;
      endReason = reason;
      for (const { started, reject } of open.values()) reject(new IsolateEndedError(reason, started));
      open.clear();
      onEnd(isolate, killed);
    },
  });

  function receive(message: FromIsolate): void {
    const request = open.get(message.id);
    if (message.kind === "progress" || message.kind === "log") transport.post({ id: message.id, kind: "taken" });
    if (message.kind === "log") {
      return latest.get(message.id)?.log[message.level](message.message, message.fields);
    }
    if (request === undefined) return;
    if (message.kind === "progress") return request.context?.progress(message);
    if (message.kind === "http") return send(message, request.context);
    clearTimeout(request.startTimer);
    request.started = true;
    if (message.kind === "ended") request.settle(message.end);
  }

  function send(
    { id, request, url, options, json }: Extract<FromIsolate, { kind: "http" }>,
    context: ExecutionContext | undefined,
  ): void {
    context?.http(url, json === undefined ? options : { ...options, json: parseJson(json) }).then(
      ({ status, headers, text }) => transport.post({ id, kind: "answer", request, status, headers, text: text() }),
      (reason: unknown) => transport.post({ id, kind: "failure", request, thrown: thrownFrom(reason) }),
    );
  }

  function remember(id: number, context: ExecutionContext): void {
    latest.set(id, context);
    const oldest = latest.keys().next().value;
    if (latest.size > 4 && oldest !== undefined) latest.delete(oldest);
  }

  function kill(): void {
    killed = true;
    transport.kill();
  }

  const isolate: Isolate = {
    get ended() {
      return endReason !== undefined;
    },
    kill,
    async request(method, input, signal, context) {
      if (endReason !== undefined) throw new IsolateEndedError(endReason, false);
      signal.throwIfAborted();
      const id = count++;
      const { promise, resolve, reject } = Promise.withResolvers<RequestEnd>();
      const startTimer = method === "open" ? undefined : setTimeout(kill, startTimeoutMs);
      open.set(id, { context, startTimer, started: false, settle: resolve, reject });
      if (context !== undefined) remember(id, context);
      let graceTimer: NodeJS.Timeout | undefined;
      const abort = (): void => {
        const { name, message } = signal.reason as Error;
        transport.post({ id, kind: "abort", name, message });
        graceTimer = setTimeout(kill, graceMs);
      };
      signal.addEventListener("abort", abort, { once: true });
      transport.setBusy(true);
      // The compiler cannot see that method and input belong together.
      transport.post({ id, kind: "request", method, input } as ToIsolate);
      try {
        return await promise;
      } finally {
        open.delete(id);
        if (open.size === 0) transport.setBusy(false);
        clearTimeout(startTimer);
        clearTimeout(graceTimer);
        signal.removeEventListener("abort", abort);
      }
    },
  };
  return isolate;
}

/** Returns the value that a function in an isolate returned, or throws what it threw. */
export function valueOf(end: RequestEnd): unknown {
  if (end.kind === "returned") return parseJson(end.json);
  if (end.kind === "threw") throw errorFromThrown(end.thrown);
  // Serialising it again reports the same error.
  const loop: { self?: unknown } = {};
  loop.self = loop;
  return loop;
}
