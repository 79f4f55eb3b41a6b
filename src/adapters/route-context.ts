import { setMaxListeners } from "node:events";
import type { Socket } from "node:net";
import type { FastifyReply, FastifyRequest } from "fastify";
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

/** A signal for all requests of one connection, which fires when it is closed. */
export function whenClosed(socket: Socket): AbortSignal {
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
