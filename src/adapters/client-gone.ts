import { setMaxListeners } from "node:events";
import type { Socket } from "node:net";
import type { FastifyReply, FastifyRequest } from "fastify";

/** Gives the signal that fires when the client of a request has gone away. */
export type ClientGone = (request: FastifyRequest, reply: FastifyReply) => AbortSignal;

/**
 * Makes the signals. An HTTP/1 connection carries one request at a time, so its requests share one signal that is made
 * once per connection; over HTTP/2 each request has a stream, and a signal, of its own.
 */
export function createClientGone(): ClientGone {
  const connections = new WeakMap<Socket, AbortSignal>();
  return (request, reply) => {
    if (request.raw.httpVersionMajor >= 2) return whenClosedEarly(reply);
    const socket = request.raw.socket;
    let signal = connections.get(socket);
    if (signal === undefined) {
      const controller = new AbortController();
      signal = controller.signal;
      setMaxListeners(0, signal);
      socket.once("close", () => controller.abort());
      if (socket.destroyed) controller.abort();
      connections.set(socket, signal);
    }
    return signal;
  };
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
