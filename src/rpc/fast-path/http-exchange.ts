import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { Readable } from "node:stream";
import { endWith, type HttpRequest, type HttpResponse, type RequestHead, writeHead } from "./http-request.ts";

/** One request and the means to answer it, over either version of HTTP. */
export interface Exchange extends RequestHead {
  readonly body: Readable;
  /** True when no answer can be written any more. */
  readonly aborted: boolean;
  /** Calls back when the client disconnects, and after the answer. */
  onClose(listener: () => void): void;
  /** Writes the whole answer. Trailers only where HTTP/2 carries them. */
  answer(
    status: number,
    headers: OutgoingHttpHeaders,
    body: Uint8Array | string | undefined,
    trailers?: Record<string, string>,
  ): void;
  destroy(): void;
}

/** An exchange over Node's request and response. */
export class RequestExchange implements Exchange {
  readonly #request: HttpRequest;
  readonly #response: HttpResponse;

  constructor(request: HttpRequest, response: HttpResponse) {
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

  get aborted(): boolean {
    return this.#response.destroyed;
  }

  onClose(listener: () => void): void {
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
 * An exchange over the HTTP/2 stream itself. Node's request and response objects cost as much again as the stream, and a
 * unary call needs nothing of theirs. The port listens to the stream's errors.
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

  get aborted(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  onClose(listener: () => void): void {
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
