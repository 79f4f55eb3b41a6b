import type { IncomingMessage, ServerResponse } from "node:http";
import type { ConnectRouter } from "@connectrpc/connect";
import { assertByteStreamRequest } from "@connectrpc/connect/protocol";

/**
 * Leaves the HTTP/1.1 requests of streaming methods open where Connect's handlers stop reading, for example at a message
 * that is too large. A request that is closed there is never read to its end, and the next one on its connection waits
 * for that until it times out. Use it with `readRest`. HTTP/2 resets the stream, which concerns no other request.
 */
export function keepBodiesOpen(router: ConnectRouter): void {
  for (const [index, handler] of router.handlers.entries()) {
    if (handler.method.methodKind === "unary") continue;
    const serve: typeof handler = Object.assign((request: Parameters<typeof handler>[0]) => {
      assertByteStreamRequest(request);
      return handler(request.httpVersion.startsWith("1.") ? { ...request, body: unclosed(request.body) } : request);
    }, handler);
    router.handlers[index] = serve;
  }
}

/** Reads and discards what is left of an HTTP/1.1 request's body once the request has been answered. */
export function readRest(request: IncomingMessage, response: ServerResponse): void {
  if (request.httpVersionMajor !== 1) return;
  const discard = (): void => {
    while (request.read() !== null);
  };
  response.once("finish", () => {
    // Not by `resume`, which has no effect while the handler's iterator listens for `readable`.
    request.on("readable", discard);
    discard();
  });
}

/** Returns the items of an iterable without closing it when its reader stops. */
function unclosed<T>(items: AsyncIterable<T>): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = items[Symbol.asyncIterator]();
      return { next: () => iterator.next() };
    },
  };
}
