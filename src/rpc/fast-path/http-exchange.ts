import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse, ServerHttp2Stream } from "node:http2";
import type { Readable } from "node:stream";

/** A request of either HTTP version. */
export type HttpRequest = IncomingMessage | Http2ServerRequest;

/** A response of either HTTP version. */
export type HttpResponse = ServerResponse | Http2ServerResponse;

/** The head of a request. */
export interface RequestHead {
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
  /** Alternating names and values, as they were sent. */
  readonly rawHeaders: readonly string[];
}

/** A listener for requests of either HTTP version. */
export type HttpListener = (request: HttpRequest, response: HttpResponse) => void;

/** One request and the means to answer it, for either HTTP version. */
export interface Exchange extends RequestHead {
  readonly body: Readable;
  /** True if no answer can be written any more. */
  readonly aborted: boolean;
  /** Calls `listener` when the client disconnects, and after the answer. */
  onClose(listener: () => void): void;
  /** Writes the whole answer. Trailers are written only over HTTP/2. */
  answer(
    status: number,
    headers: OutgoingHttpHeaders,
    body: Uint8Array | string | undefined,
    trailers?: Record<string, string>,
  ): void;
  destroy(): void;
}

/** An exchange based on Node's request and response. */
export class RequestExchange implements Exchange {
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: HttpRequest;
  readonly #response: HttpResponse;

  constructor(request: HttpRequest, response: HttpResponse) {
    this.url = request.url;
    this.headers = request.headers;
    this.rawHeaders = request.rawHeaders;
    this.body = request;
    this.#response = response;
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
 * An exchange based on the HTTP/2 stream itself. Node's request and response objects cost as much again as the stream,
 * and a unary call needs neither. The port handles the stream's errors.
 */
export class StreamExchange implements Exchange {
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: ServerHttp2Stream;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]) {
    this.url = headers[":path"] as string | undefined;
    this.headers = headers;
    this.rawHeaders = rawHeaders;
    this.body = stream;
  }

  get aborted(): boolean {
    return this.body.destroyed || this.body.closed;
  }

  onClose(listener: () => void): void {
    this.body.on("close", listener);
  }

  answer(
    status: number,
    headers: OutgoingHttpHeaders,
    body: Uint8Array | string | undefined,
    trailers?: Record<string, string>,
  ): void {
    const stream = this.body;
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
    this.body.destroy();
  }
}

/** Returns one header as text, if present. */
export function headerOf(request: RequestHead, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === "string" ? value : value?.join(", ");
}

/** Returns the Authorization header if there is exactly one. Several are ambiguous: proxies may read different ones. */
export function authorizationOf(request: RequestHead): string | undefined {
  const { rawHeaders } = request;
  let found = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name?.length === 13 && name.toLowerCase() === "authorization" && ++found > 1) return undefined;
  }
  return headerOf(request, "authorization");
}

/** Returns the path of a request, without its query. */
export function pathOf(request: RequestHead): string {
  const url = request.url ?? "";
  const query = url.indexOf("?");
  return query < 0 ? url : url.slice(0, query);
}

/** Returns all request headers in the form of the Fetch API. */
export function headersOf(request: RequestHead): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    if (name.startsWith(":") || value === undefined) continue;
    for (const each of Array.isArray(value) ? value : [value]) headers.append(name, each);
  }
  return headers;
}

/** Writes status and headers. Exists because TypeScript cannot call an overloaded method of a union. */
export function writeHead(response: HttpResponse, status: number, headers: OutgoingHttpHeaders): void {
  if ("stream" in response) response.writeHead(status, headers);
  else response.writeHead(status, headers);
}

/** Writes the body, if there is one, and ends the response. */
export function endWith(response: HttpResponse, body: Uint8Array | string | undefined): void {
  if (body === undefined) response.end();
  else if ("stream" in response) response.end(body);
  else response.end(body);
}
