import * as http from "node:http";
import * as http2 from "node:http2";
import * as net from "node:net";
import { createStreamWatch, guardSession, resetsIn } from "./http2-guard.ts";
import { sniff } from "./sniff.ts";
import type { SniffState } from "./sniff.ts";
import { createTlsAcceptor, type TlsAcceptor, type TlsAcceptorParts } from "./tls.ts";
import { createStallWatch } from "./write-stalls.ts";

/** Handles requests of HTTP/1.1 and HTTP/2. */
export type PortListener = (request: http.IncomingMessage, response: http.ServerResponse) => void;

/**
 * Returns the function that serves an HTTP/2 stream. Undefined: the stream is passed to the `PortListener` as a
 * request.
 */
export type StreamListener = (
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  rawHeaders: readonly string[],
) => (() => void) | undefined;

/** Limits of the port. Times are in milliseconds. */
export interface PortOptions {
  /** Called first for each HTTP/2 stream. */
  readonly streams?: StreamListener;
  /** Maximum number of concurrent streams on one HTTP/2 connection; 100 by default. */
  readonly streamsPerConnection?: number;
  /** Time limit for the first byte, for the whole head, and for the whole body of a request; 9000 by default. */
  readonly requestMs?: number;
  /** Time after which an idle connection is closed; 72,000 by default, longer than the idle time of proxies. */
  readonly idleMs?: number;
  /** Time after which the connection of a peer that does not read its answer is closed; 30,000 by default. */
  readonly stallMs?: number;
  /** Interval between two checks of these times; 500 by default. */
  readonly sweepMs?: number;
  /** TLS settings. Undefined: cleartext. */
  readonly tls?: Pick<TlsAcceptorParts, "config" | "log" | "reloadMs"> | undefined;
}

/** Maximum number of headers of one request. More are refused with 431. */
const maxHeaders = 1000;

/** One port for HTTP/1.1 and HTTP/2, in cleartext or with TLS. The first bytes of a connection decide which. */
export class PortServer extends net.Server {
  readonly #http1: http.Server;
  readonly #http2: http2.Http2Server;
  readonly #sessions = new Set<http2.ServerHttp2Session>();
  readonly #sniffing = new Map<net.Socket, SniffState>();
  readonly #requestMs: number;
  /** Maximum number of streams that a client may reset in a burst. */
  readonly #resets: number;
  readonly #tls: TlsAcceptor | undefined;
  #closing = false;

  constructor(listener: PortListener, options: PortOptions = {}) {
    super({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 });
    const { requestMs = 9000, idleMs = 72_000, stallMs = 30_000, sweepMs = 500 } = options;
    this.#requestMs = requestMs;
    const streams = createStreamWatch(requestMs, stallMs);
    const stalls = createStallWatch(stallMs);

    this.#http1 = http.createServer({
      headersTimeout: requestMs,
      requestTimeout: requestMs,
      keepAliveTimeout: idleMs,
      connectionsCheckingInterval: sweepMs,
      // Two Authorization headers are joined to one value that matches no key. Without this option the first one would
      // win.
      joinDuplicateHeaders: true,
    });
    this.#http1.maxHeadersCount = maxHeaders;
    const requests = batchPerTick(listener, (_request, response) => response.destroyed);
    this.#http1.on("request", (request: http.IncomingMessage, response: http.ServerResponse) => {
      // DANGER: Node silently drops headers beyond its limit.
      if (request.rawHeaders.length >= 2 * maxHeaders) return refuse(response, 431, "Request Header Fields Too Large");
      if (this.#closing) response.setHeader("connection", "close");
      requests(request, response);
    });
    this.#http1.on("checkExpectation", (_request, response: http.ServerResponse) => {
      refuse(response, 417, "Expectation Failed");
    });
    this.#http1.on("clientError", (error: Error, socket: net.Socket) => {
      if (!this.emit("clientError", error, socket)) socket.destroy();
    });

    const streamsPerConnection = options.streamsPerConnection ?? 100;
    // Allows a client to cancel all its open streams, and all of them again each second.
    this.#resets = 2 * streamsPerConnection;
    this.#http2 = http2.createServer({
      settings: { maxConcurrentStreams: streamsPerConnection, enablePush: false },
      // Node allows bursts of 1000, which block the event loop for 40 ms.
      streamResetBurst: this.#resets,
      streamResetRate: streamsPerConnection,
      maxSettings: 32,
      maxSessionInvalidFrames: 100,
    });
    // It never has a connection. It creates request and response objects for the streams that the fast path does not
    // take.
    const compat = http2.createServer();
    const opened = batchPerTick(
      (_stream: http2.ServerHttp2Stream, serve: () => void) => serve(),
      (stream) => stream.destroyed || stream.closed,
    );
    this.#http2.on("stream", (stream: http2.ServerHttp2Stream, headers, flags, rawHeaders) => {
      streams.add(stream);
      const serve = options.streams?.(stream, headers, rawHeaders);
      if (serve === undefined) compat.emit("stream", stream, headers, flags, rawHeaders);
      else opened(stream, serve);
    });
    compat.on("request", (request, response) => {
      // The HTTP/2 compatibility classes have the shape of the HTTP/1 classes, which the code behind the port expects.
      requests(request as unknown as http.IncomingMessage, response as unknown as http.ServerResponse);
    });
    this.#http2.on("session", (session) => {
      this.#sessions.add(session);
      session.once("close", () => this.#sessions.delete(session));
      session.setTimeout(idleMs, () => session.close());
      guardSession(session, this.#resets);
    });
    // A malformed peer ends only its own session; Node has already sent the GOAWAY.
    this.#http2.on("sessionError", () => {});

    const serve = (socket: net.Socket): void => {
      stalls.add(socket);
      this.#sniff(socket);
    };
    const tls = options.tls && createTlsAcceptor({ ...options.tls, handshakeMs: requestMs, onSecure: serve });
    this.#tls = tls;
    this.on("connection", (socket: net.Socket) => {
      if (tls === undefined) serve(socket);
      else tls.accept(socket);
    });
    const sweep = setInterval(() => {
      const now = performance.now();
      for (const [socket, { until }] of this.#sniffing) if (now >= until) socket.destroy();
      streams.sweep(now);
      stalls.sweep(now);
      if (this.#closing) this.closeIdleConnections();
    }, sweepMs);
    sweep.unref();
    // DANGER: Node starts its checks for slow requests only when its own server listens, and this one never does.
    this.on("listening", () => this.#http1.emit("listening"));
    this.on("close", () => {
      tls?.close();
      clearInterval(sweep);
      // Ends Node's own checks. The server never listened, so the error that it reports is meaningless.
      this.#http1.close(() => {});
    });
  }

  #sniff(socket: net.Socket): void {
    const found = (isHttp2: boolean, head: Buffer): void => {
      if (isHttp2 && resetsIn(head) > this.#resets) socket.destroy();
      else (isHttp2 ? this.#http2 : this.#http1).emit("connection", socket);
    };
    const sniffing = sniff(socket, this.#requestMs, found, () => this.#sniffing.delete(socket));
    this.#sniffing.set(socket, sniffing);
  }

  /** Stops accepting connections. Busy connections are closed after their last answer, idle ones at once. */
  override close(done?: (error?: Error) => void): this {
    super.close(done);
    this.#closing = true;
    for (const session of this.#sessions) session.close();
    const soon = setInterval(() => this.closeIdleConnections(), 20);
    this.once("close", () => clearInterval(soon));
    if (!this.listening) this.closeIdleConnections();
    return this;
  }

  /** Closes connections without a request. */
  closeIdleConnections(): void {
    this.#http1.closeIdleConnections();
    this.#tls?.abortHandshakes();
    for (const socket of this.#sniffing.keys()) socket.destroy();
    if (this.#closing) return;
    for (const session of this.#sessions) session.close();
  }

  /** Closes all connections at once. */
  closeAllConnections(): void {
    this.#http1.closeAllConnections();
    this.#tls?.abortHandshakes();
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sniffing.keys()) socket.destroy();
  }
}

/** Answers a request that no route may receive, and closes its connection. */
function refuse(response: http.ServerResponse, status: number, error: string): void {
  const body = JSON.stringify({ error });
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(body),
    connection: "close",
  });
  response.end(body);
}

/**
 * Creates a listener that handles all requests of one tick of the event loop as a batch, in their order. The requests
 * pass each stage one after the other while its code and data are in the processor's caches, so the cost per request
 * falls as load rises. A single request waits only until the end of its tick. Requests whose client has disconnected by
 * then are skipped.
 */
export function batchPerTick<Args extends readonly unknown[]>(
  handle: (...args: Args) => void,
  isAborted: (...args: Args) => boolean,
): (...args: Args) => void {
  let arrived: Args[] = [];
  const handleBatch = (): void => {
    const batch = arrived;
    arrived = [];
    for (const args of batch) if (!isAborted(...args)) handle(...args);
  };
  return (...args) => {
    if (arrived.push(args) === 1) setImmediate(handleBatch);
  };
}
