import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

/** A request of either HTTP version. */
export type HttpRequest = IncomingMessage | Http2ServerRequest;

/** A response of either HTTP version. */
export type HttpResponse = ServerResponse | Http2ServerResponse;

/** The head of a request. */
export interface RequestHead {
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
  /** Names and values in turn, as they were sent. */
  readonly rawHeaders: readonly string[];
}

/** A listener for requests of either HTTP version. */
export type HttpListener = (request: HttpRequest, response: HttpResponse) => void;

/** One header as text, or undefined. */
export function headerOf(request: RequestHead, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === "string" ? value : value?.join(", ");
}

/** The one Authorization header. More than one proves nobody: two proxies may read two different ones. */
export function authorizationOf(request: RequestHead): string | undefined {
  const { rawHeaders } = request;
  let found = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name?.length === 13 && name.toLowerCase() === "authorization" && ++found > 1) return undefined;
  }
  return headerOf(request, "authorization");
}

/** The path of a request, without its query. */
export function pathOf(request: RequestHead): string {
  const url = request.url ?? "";
  const query = url.indexOf("?");
  return query < 0 ? url : url.slice(0, query);
}

/** All request headers in the form of the Fetch API. */
export function headersOf(request: RequestHead): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    if (name.startsWith(":") || value === undefined) continue;
    for (const each of Array.isArray(value) ? value : [value]) headers.append(name, each);
  }
  return headers;
}

/** Writes status and headers. Both versions of HTTP have it, but TypeScript cannot call an overload of a union. */
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
