import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { Readable } from "node:stream";
import { endWith, type RequestHead, writeHead, type WireRequest, type WireResponse } from "./wire-request.ts";

/** One request and the way to answer it, whatever it came by. */
export interface Exchange extends RequestHead {
  readonly body: Readable;
  /** Nobody can be answered any more. */
  readonly gone: boolean;
  /** Calls back when the client goes away, and after the answer. */
  onGone(listener: () => void): void;
  /** Writes the whole answer. Trailers only where HTTP/2 carries them. */
  answer(
    status: number,
    headers: OutgoingHttpHeaders,
    body: Uint8Array | string | undefined,
    trailers?: Record<string, string>,
  ): void;
  destroy(): void;
}

/** An exchange by Node's request and response. */
export class WireExchange implements Exchange {
  readonly #request: WireRequest;
  readonly #response: WireResponse;

  constructor(request: WireRequest, response: WireResponse) {
    this.#request = request;
    this.#response = response;
  }

  get url(): string | undefined {
    return this.#request.url;
  }

  get headers(): IncomingHttpHeaders {
    return this.#request.headers;
  }

  get rawHeaders(): readonly string[] {
    return this.#request.rawHeaders;
  }

  get body(): Readable {
    return this.#request;
  }

  get gone(): boolean {
    return this.#response.destroyed;
  }

  onGone(listener: () => void): void {
    this.#response.on("close", listener);
  }

  answer(
    status: number,
    headers: OutgoingHttpHeaders,
    body: Uint8Array | string | undefined,
    trailers?: Record<string, string>,
  ): void {
    writeHead(this.#response, status, headers);
    if (trailers !== undefined) this.#response.addTrailers(trailers);
    endWith(this.#response, body);
  }

  destroy(): void {
    this.#response.destroy();
  }
}

/**
 * An exchange by an HTTP/2 stream itself. Node's request and response around it cost as much again as the stream, and a
 * unary call needs nothing of theirs. Whoever takes the stream off the wire listens to its errors.
 */
export class StreamExchange implements Exchange {
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly #stream: ServerHttp2Stream;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]) {
    this.#stream = stream;
    this.headers = headers;
    this.rawHeaders = rawHeaders;
  }

  get url(): string | undefined {
    return this.headers[":path"] as string | undefined;
  }

  get body(): Readable {
    return this.#stream;
  }

  get gone(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  onGone(listener: () => void): void {
    this.#stream.on("close", listener);
  }

  answer(
    status: number,
    headers: OutgoingHttpHeaders,
    body: Uint8Array | string | undefined,
    trailers?: Record<string, string>,
  ): void {
    const stream = this.#stream;
    const head = { ":status": status, ...headers };
    if (trailers === undefined) {
      stream.respond(head);
    } else {
      stream.respond(head, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    }
    stream.end(body);
  }

  destroy(): void {
    this.#stream.destroy();
  }
}
