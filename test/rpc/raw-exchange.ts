import * as http from "node:http";
import type * as http2 from "node:http2";

/** One request as bytes. */
export interface RawRequest {
  method?: string;
  path: string;
  headers: Record<string, string>;
  body: Uint8Array;
}

/** One answer as received, without parts that differ between runs. */
export interface RawAnswer {
  status: number;
  headers: Record<string, string>;
  trailers: Record<string, string>;
  body: Buffer;
}

/** Returns a message in the frame of gRPC and of Connect's streams: flags, length, bytes. */
export function frame(bytes: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

const fleeting = new Set(["date", ":status"]);

function stableHeaders(headers: Record<string, unknown>): Record<string, string> {
  const entries = Object.entries(headers).filter(([name]) => !fleeting.has(name));
  return Object.fromEntries(
    entries.map(([name, value]) => [name, String(value)] as const).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** Sends a request over HTTP/1.1. */
export function exchange1(url: string, { method = "POST", path, headers, body }: RawRequest): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const request = http.request(url + path, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", reject);
      response.once("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: stableHeaders(response.headers),
          trailers: stableHeaders(response.trailers),
          body: Buffer.concat(chunks),
        }),
      );
    });
    request.once("error", reject);
    request.end(body);
  });
}

/** Sends a request over an HTTP/2 session. */
export function exchange2(
  session: http2.ClientHttp2Session,
  { method = "POST", path, headers, body }: RawRequest,
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":method": method, ":path": path, ...headers }, { endStream: body.length === 0 });
    const answer: RawAnswer = { status: 0, headers: {}, trailers: {}, body: Buffer.alloc(0) };
    const chunks: Buffer[] = [];
    stream.on("response", (received) => {
      answer.status = received[":status"] ?? 0;
      answer.headers = stableHeaders(received);
    });
    stream.on("trailers", (received) => {
      answer.trailers = stableHeaders(received);
    });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.once("error", reject);
    stream.once("close", () => resolve({ ...answer, body: Buffer.concat(chunks) }));
    if (body.length > 0) stream.end(body);
  });
}
