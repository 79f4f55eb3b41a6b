import { setMaxListeners } from "node:events";
import type { Socket } from "node:net";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Caller } from "../auth/caller.ts";
import type { AdapterClients, AdapterHost, RequestTrace } from "./adapter.ts";
import type { Route } from "./route.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Who sent the request. Set by the routes of adapters before the body is parsed. */
    caller: Caller;
    /** Clients that act as the caller. Set together with it. */
    clients: AdapterClients;
    /** Ids of the request's calls, for log lines. Set once its payload is read. */
    about?: Readonly<Record<string, string | undefined>>;
    /** Why nobody is proved, for log and audit log, where there is more to say than that the key is not valid. */
    refusal?: { readonly reason: string; readonly caller: Caller | undefined };
    /** Gets the bytes of the body before they are parsed. What it throws is the answer. */
    onBody?: (body: Buffer) => void;
  }
}

/** Times that tests shorten, in milliseconds. */
export interface RouteTimes {
  /** Interval of comment lines in an idle stream of events. */
  readonly commentEveryMs: number;
  /** How long a stream waits for a first event before it opens: until then a failure can still be a status. */
  readonly openAfterMs: number;
  /** How much longer than its answer deadline a stream may stay open. */
  readonly lingerMs: number;
  /** How long storing a job may take. */
  readonly storeWithinMs: number;
  /** Pause after the state of a pending call could not be read. */
  readonly pendingRetryMs: number;
}

const defaultTimes: RouteTimes = {
  commentEveryMs: 15_000,
  openAfterMs: 250,
  lingerMs: 5000,
  storeWithinMs: 2000,
  pendingRetryMs: 1000,
};

/** What the routes of one adapter share. */
export interface RouteContext {
  readonly host: AdapterHost;
  readonly times: RouteTimes;
  /** Starts the span of a request. `otherwise` is its trace context where the request has no header for it. */
  startTrace(request: FastifyRequest, route: Route, otherwise?: string): RequestTrace | undefined;
  /** Returns the signal that fires when the client of a request has gone away. */
  clientGone(request: FastifyRequest, reply: FastifyReply): AbortSignal;
  /** Calls `close` when the server is closed. */
  onClose(close: () => void): void;
}

/**
 * Creates the context. An HTTP/1 connection carries one request at a time, so its requests share one signal that is made
 * once per connection; over HTTP/2 each request has a stream, and a signal, of its own.
 */
export function createRouteContext(app: FastifyInstance, host: AdapterHost, given: Partial<RouteTimes>): RouteContext {
  const times = { ...defaultTimes, ...given };
  const connections = new WeakMap<Socket, AbortSignal>();
  return {
    host,
    times,
    startTrace(request, route, otherwise) {
      const shared = route.kind === "stream" || route.kind === "accept";
      const { traceparent = otherwise, tracestate } = request.headers;
      if (traceparent === undefined && !shared && !host.tracing) return undefined;
      return host.startTrace({
        method: route.method,
        path: route.path,
        traceparent: typeof traceparent === "string" ? traceparent : undefined,
        tracestate: Array.isArray(tracestate) ? tracestate.join(",") : tracestate,
        shared,
      });
    },
    clientGone(request, reply) {
      if (request.raw.httpVersionMajor >= 2) return whenClosedEarly(reply);
      const socket = request.raw.socket;
      let signal = connections.get(socket);
      if (signal === undefined) connections.set(socket, (signal = whenClosed(socket)));
      return signal;
    },
    onClose(close) {
      app.addHook("onClose", (_app, done) => {
        close();
        done();
      });
    },
  };
}

/** A signal for all requests of one connection. */
function whenClosed(socket: Socket): AbortSignal {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  socket.once("close", () => controller.abort());
  if (socket.destroyed) controller.abort();
  return controller.signal;
}

/** A signal for one reply that fires when its connection or stream is closed before it has been ended. */
export function whenClosedEarly(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once("close", () => {
    // Not `writableFinished`: Node says that of a cancelled HTTP/2 stream too.
    if (!reply.raw.writableEnded) controller.abort();
  });
  return controller.signal;
}
