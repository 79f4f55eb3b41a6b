import { parseJson } from "../json/exact-number.ts";
import type { ExecutionContext } from "../plugin/tool.ts";
import type { FromIsolate, IsolateRequests, RequestEnd, ToIsolate } from "./isolation-protocol.ts";
import { errorFromThrown, thrownFrom } from "./isolation-protocol.ts";

/** A thread or process that has been started, and the connection with it. */
export interface Transport {
  /** Sends a message. One that cannot be sent any more is dropped: the end is reported. */
  post(message: ToIsolate): void;
  /** Ends it at once, whatever it does. */
  kill(): void;
  /** Tells whether calls run in it: then it keeps the service's process alive. */
  setBusy(busy: boolean): void;
}

/** Starts a thread or process. `onEnd` is called once, after its last message. */
export type StartTransport = (on: { message(message: FromIsolate): void; end(reason: string): void }) => Transport;

/** Thrown where a thread or process ended before a request did. */
export class IsolateEndedError extends Error {
  override readonly name: string = "IsolateEndedError";
  /** Whether the plugin was called. */
  readonly started: boolean;

  constructor(reason: string, started: boolean) {
    super(reason);
    this.started = started;
  }
}

/** One thread or process in which a plugin lives. */
export interface Isolate {
  /** Whether it has ended. */
  readonly ended: boolean;
  /**
   * Has a function of the plugin called. When the signal fires, the plugin's signal does; a function that has not ended 50 ms
   * later ends with the isolate. Rejects with an IsolateEndedError.
   */
  request<Method extends keyof IsolateRequests>(
    method: Method,
    input: IsolateRequests[Method],
    signal: AbortSignal,
    context?: ExecutionContext,
  ): Promise<RequestEnd>;
  /** Ends it, on purpose. */
  kill(): void;
}

/** How long a function may go on after its signal has fired, in milliseconds. */
const graceMs = 50;

/** How long an isolate may take to begin with a request, in milliseconds: it is busy with what an earlier one left behind. */
const startWithinMs = 1000;

interface OpenRequest {
  readonly context: ExecutionContext | undefined;
  readonly startTimer: NodeJS.Timeout | undefined;
  started: boolean;
  settle(end: RequestEnd): void;
  reject(reason: IsolateEndedError): void;
}

/** Starts an isolate. `onEnd`: it has ended; `killed` says whether that was on purpose. */
export function createIsolate(start: StartTransport, onEnd: (isolate: Isolate, killed: boolean) => void): Isolate {
  const open = new Map<number, OpenRequest>();
  let count = 0;
  let killed = false;
  let endReason: string | undefined;
  /** The latest calls: a log line that comes after its call has ended is that call's own. */
  const latest = new Map<number, ExecutionContext>();

  const transport = start({
    message(message) {
      try {
        receive(message);
      } catch {
        // DANGER: a plugin can send messages of its own, which are not of the protocol.
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
      const startTimer = method === "open" ? undefined : setTimeout(kill, startWithinMs);
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
      // The types of methods and inputs go together.
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

/** What a function in an isolate returned. Throws what it threw. */
export function valueOf(end: RequestEnd): unknown {
  if (end.kind === "returned") return parseJson(end.json);
  if (end.kind === "threw") throw errorFromThrown(end.thrown);
  // Serialising it again says that it cannot be.
  const loop: { self?: unknown } = {};
  loop.self = loop;
  return loop;
}
