import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createNetServer, type Socket } from "node:net";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import { createOutbound, type OutboundOptions } from "../../src/outbound/outbound.ts";
import type { HttpScope, Outbound } from "../../src/outbound/http.ts";
import type { BreakerState } from "../../src/outbound/origins.ts";

/** A real HTTP server on a port of its own. */
export interface Downstream extends AsyncDisposable {
  readonly origin: string;
  readonly port: number;
  /** The requests so far, with their bodies. */
  readonly requests: { method: string; url: string; headers: IncomingMessage["headers"]; body: string; at: number }[];
}

export async function startDownstream(
  answer: (response: ServerResponse, request: IncomingMessage, nth: number) => void,
): Promise<Downstream> {
  const requests: Downstream["requests"] = [];
  const listener: RequestListener = (request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      requests.push({
        method: request.method!,
        url: request.url!,
        headers: request.headers,
        body,
        at: performance.now(),
      });
      answer(response, request, requests.length);
    });
  };
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Starts a real TCP server. `connections` counts its connections. */
export async function startRaw(connected: (socket: Socket, nth: number) => void) {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createNetServer((socket) => {
    sockets.add(socket);
    connections += 1;
    socket.on("error", () => {});
    connected(socket, connections);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Returns a port on which nothing listens. */
export async function deadPort(): Promise<number> {
  await using raw = await startRaw(() => {});
  return raw.port;
}

/** Outgoing HTTP without telemetry. `changes` records the changes of breakers. */
export function startOutbound(
  options: Partial<OutboundOptions> = {},
): Outbound & AsyncDisposable & { readonly changes: [string, BreakerState][] } {
  const changes: [string, BreakerState][] = [];
  const telemetry = {
    tracing: false,
    inject: () => ({}),
    metrics: { breakerChanged: (origin: string, state: BreakerState) => changes.push([origin, state]) },
  } as unknown as OutboundOptions["telemetry"];
  const outbound = createOutbound({
    downstreamBytes: 2 ** 21,
    privateAddresses: [],
    version: "9.9.9",
    telemetry,
    random: () => 0,
    ...options,
  });
  return { ...outbound, changes, [Symbol.asyncDispose]: () => outbound.close() };
}

/** The scope of one execution, with backoffs short enough for tests. */
export function scope(over: Partial<HttpScope> & { within?: number; origins?: string[] } = {}): HttpScope {
  const { within = 10_000, origins = [], ...rest } = over;
  return {
    effect: "read",
    retry: { baseMs: 20, maxMs: 80 },
    signal: AbortSignal.timeout(within),
    deadline: performance.now() + within,
    configuredOrigins: new Set(origins),
    trace: ROOT_CONTEXT,
    ...rest,
  };
}

/** Returns the reason with which a promise is rejected. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (reason) {
    return reason as Error;
  }
  throw new Error("expected a rejection");
}
