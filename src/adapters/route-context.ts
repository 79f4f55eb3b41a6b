import { setMaxListeners } from "node:events";
import type { Socket } from "node:net";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Caller } from "../auth/caller.ts";
import type { AdapterClients, AdapterHost, RequestTrace } from "./adapter.ts";
import type { Route } from "./route.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** The authenticated caller. Set by the adapter's routes before the body is parsed. */
    caller: Caller;
    /** Clients that act as the caller. Set together with it. */
    clients: AdapterClients;
    /** Ids of the request's calls for log lines. Set once its payload is read. */
    about?: Readonly<Record<string, string | undefined>>;
    /** Why authentication failed, for log and audit log, if there is more to say than that the key is invalid. */
    refusal?: { readonly reason: string; readonly caller: Caller | undefined };
    /** Receives the bytes of the body before they are parsed. An error that it throws is the answer. */
    onBody?: (body: Buffer) => void;
  }
}

/** Durations that tests shorten, in milliseconds. */
export interface RouteTimes {
  /** Interval of comment lines in an idle event stream. */
  readonly commentEveryMs: number;
  /** How long a stream waits for its first event before it opens. Until then a failure can still be an HTTP status. */
  readonly openAfterMs: number;
  /** How long a stream may stay open after its answer deadline. */
  readonly lingerMs: number;
  /** Time limit for storing a job. */
  readonly storeWithinMs: number;
  /** Pause after an attempt to read the state of a pending call failed. */
  readonly pendingRetryMs: number;
}

/** State shared by the routes of one adapter. */
export interface RouteContext {
  readonly host: AdapterHost;
  readonly times: RouteTimes;
  /** Starts the span of a request. `otherwise` is its trace context if the request has no header for it. */
  startTrace(request: FastifyRequest, route: Route, otherwise?: string): RequestTrace | undefined;
  /** Returns the signal that fires when the client of a request has disconnected. */
  disconnectSignal(request: FastifyRequest, reply: FastifyReply): AbortSignal;
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

/** Returns a signal for one reply. It fires if the connection or stream is closed before the reply has ended. */
export function whenClosedEarly(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once("close", () => {
    // Not `writableFinished`, which is also true for a cancelled HTTP/2 stream.
    if (!reply.raw.writableEnded) controller.abort();
  });
  return controller.signal;
}
