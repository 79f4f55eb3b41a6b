import * as http2 from "node:http2";
import * as net from "node:net";
import { brotliDecompressSync, constants, gunzipSync } from "node:zlib";

/** One request in bytes: body and header values are latin1. */
export interface FuzzRequest {
  /** HTTP/2 for gRPC, otherwise HTTP/1.1 on a connection of its own. */
  readonly http2?: boolean;
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  /** The answer may be a stream that ends only when the client disconnects. */
  readonly openEnded?: boolean;
}

/** One answer. */
export interface FuzzAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly trailers: ReadonlyMap<string, string>;
  readonly text: string;
  /** The stream was still open when the client disconnected. */
  readonly cut: boolean;
}

/** Values that HTTP/2 forbids: a server resets their stream, as for an invalid `host` (RFC 9113, sections 8.1.1 to 8.3.1). */
// oxlint-disable-next-line no-control-regex
const forbidden = /[\u0000-\u0008\u000a-\u001f\u007f]|^[ \t]|[ \t]$/;

/** Time limit of an answer, in milliseconds. */
const answerMs = 20_000;
/** Time for which an open stream is read, in milliseconds. */
const streamMs = 300;

/** Sends a request and reads its answer. Rejects if there is none. Undefined if the client itself cannot send it. */
export function exchange(url: string, request: FuzzRequest): Promise<FuzzAnswer | undefined> {
  return request.http2 === true ? exchange2(url, request) : exchange1(url, request);
}

function exchange1(url: string, { method, path, headers, body, openEnded }: FuzzRequest): Promise<FuzzAnswer> {
  const { hostname, port } = new URL(url);
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head =
    `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: close\r\n` +
    `content-length: ${body.length}\r\n${lines}\r\n`;
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: hostname, port: Number(port), noDelay: true });
    const chunks: Buffer[] = [];
    let cut = false;
    const unanswered = setTimeout(() => {
      reject(new Error(`no answer within ${answerMs} ms: ${Buffer.concat(chunks).toString("latin1", 0, 500)}`));
      socket.destroy();
    }, answerMs);
    let reading: NodeJS.Timeout | undefined;
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      if (openEnded !== true) return;
      reading ??= setTimeout(() => {
        cut = true;
        socket.destroy();
      }, streamMs);
    });
    // An answer that was sent before the whole body was read may end with a reset.
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(unanswered);
      clearTimeout(reading);
      const answer = readAnswer(Buffer.concat(chunks).toString("latin1"), cut);
      if (answer === undefined) reject(new Error(`the connection ended without an answer: ${chunks.join("")}`));
      else resolve(answer);
    });
    socket.write(head + body, "latin1");
  });
}

/** Parses an answer of HTTP/1.1. */
function readAnswer(text: string, cut: boolean): FuzzAnswer | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end === -1) return undefined;
  const [statusLine = "", ...lines] = text.slice(0, end).split("\r\n");
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1]);
  if (status < 200) return readAnswer(text.slice(end + 4), cut);
  const headers = new Map(lines.map((line) => [nameOf(line), line.slice(line.indexOf(":") + 1).trim()] as const));
  const rest = text.slice(end + 4);
  const body = headers.get("transfer-encoding") === "chunked" ? joinChunks(rest) : rest;
  return { status, headers, trailers: new Map(), text: decoded(Buffer.from(body, "latin1"), headers), cut };
}

/** Returns the text of a body, decompressed as its headers say. */
function decoded(body: Buffer, headers: ReadonlyMap<string, string>): string {
  const encoding = headers.get("content-encoding");
  // Also of a stream that was cut.
  const finishFlush = constants.Z_SYNC_FLUSH;
  if (encoding === "gzip") return gunzipSync(body, { finishFlush }).toString();
  return (
    encoding === "br" ? brotliDecompressSync(body, { finishFlush: constants.BROTLI_OPERATION_FLUSH }) : body
  ).toString();
}

function nameOf(line: string): string {
  return line.slice(0, line.indexOf(":")).toLowerCase();
}

function joinChunks(text: string): string {
  let joined = "";
  for (let at = 0; at < text.length;) {
    const lineEnd = text.indexOf("\r\n", at);
    const length = Number.parseInt(text.slice(at, lineEnd), 16);
    if (!(length > 0)) break;
    joined += text.slice(lineEnd + 2, lineEnd + 2 + length);
    at = lineEnd + 4 + length;
  }
  return joined;
}

async function exchange2(url: string, request: FuzzRequest): Promise<FuzzAnswer | undefined> {
  const session = http2.connect(url);
  session.on("error", () => {});
  try {
    return await new Promise<FuzzAnswer | undefined>((resolve, reject) => {
      const fields: http2.OutgoingHttpHeaders = { ":method": request.method, ":path": request.path };
      for (const [name, value] of request.headers) fields[name] = value;
      let stream: http2.ClientHttp2Stream;
      try {
        stream = session.request(fields);
      } catch {
        return resolve(undefined);
      }
      const chunks: Buffer[] = [];
      let headers: http2.IncomingHttpHeaders = {};
      let trailers: http2.IncomingHttpHeaders = {};
      let cut = false;
      const unanswered = setTimeout(() => {
        reject(new Error(`no answer within ${answerMs} ms`));
        session.destroy();
      }, answerMs);
      stream.on("response", (received) => {
        headers = received;
        if (request.openEnded !== true) return;
        setTimeout(() => {
          cut = !stream.destroyed;
          stream.close();
        }, streamMs);
      });
      stream.on("trailers", (received) => (trailers = received));
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("error", () => {});
      stream.on("close", () => {
        clearTimeout(unanswered);
        const status = Number(headers[":status"]);
        const isForbidden = request.headers.some(([name, value]) => name === "host" || forbidden.test(value));
        if (stream.rstCode === http2.constants.NGHTTP2_PROTOCOL_ERROR && isForbidden) return resolve(undefined);
        if (!(status > 0)) return reject(new Error(`the stream ended without an answer (code ${stream.rstCode})`));
        resolve({
          status,
          headers: mapOf(headers),
          trailers: mapOf(trailers),
          text: decoded(Buffer.concat(chunks), mapOf(headers)),
          cut,
        });
      });
      stream.end(request.body, "latin1");
    });
  } finally {
    session.destroy();
  }
}

function mapOf(headers: http2.IncomingHttpHeaders): ReadonlyMap<string, string> {
  return new Map(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}
