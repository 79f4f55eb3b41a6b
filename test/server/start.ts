import type { IncomingMessage, ServerResponse } from "node:http";
import type { PortListener } from "../../src/server/port.ts";
import type { FastifyInstance } from "fastify";
import { once } from "node:events";
import type * as http2 from "node:http2";
import * as net from "node:net";
import { pino } from "pino";
import type { Caller } from "../../src/auth/caller.ts";
import { createChallenges } from "../../src/auth/challenge.ts";
import { allScopes } from "../../src/config/scope.ts";
import { createHttp } from "../../src/server/http.ts";
import type { HttpParts } from "../../src/server/http.ts";
import type { Rpc } from "../../src/rpc/rpc.ts";
import { createReadiness } from "../../src/app/readiness.ts";

/** A running HTTP side on a free port. */
export interface Started extends AsyncDisposable {
  readonly app: FastifyInstance;
  readonly port: number;
  readonly url: string;
  readonly log: string[];
}

/** Starts the HTTP side with a route `POST /echo` that answers the parsed body. */
export async function start(parts: Partial<HttpParts> = {}): Promise<Started> {
  const log: string[] = [];
  const everything: Caller = { name: "local", tenant: "default", scopes: new Set(allScopes), tools: undefined };
  const app = await createHttp({
    host: "127.0.0.1",
    allowedHosts: [],
    limits: { bodyBytes: 65_536, depth: 32, streamsPerConnection: 100 },
    log: pino({ level: "info" }, { write: (line: string) => void log.push(line) }),
    rpc: rpcByRequest((_request, response) => response.end("rpc")),
    refusals: { record() {}, close() {} },
    readiness: createReadiness([]),
    authenticate: () => everything,
    challenges: createChallenges(undefined),
    prometheus: async () => "up 1\n",
    tools: () => [],
    ...parts,
    mounts: [echo, ...(parts.mounts ?? [])],
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.address() as net.AddressInfo;
  return {
    app,
    port,
    url: `http://127.0.0.1:${port}`,
    log,
    async [Symbol.asyncDispose]() {
      app.server.closeAllConnections();
      await app.close();
    },
  };
}

function echo(app: FastifyInstance): void {
  app.post("/echo", (request, reply) => {
    reply.send({ body: request.body });
  });
}

/** Sends bytes and reads until the peer closes the connection. */
export async function raw(port: number, bytes: string | Buffer): Promise<string> {
  const socket = net.connect(port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  socket.on("error", () => {});
  socket.write(bytes);
  await once(socket, "close");
  return text;
}

/** Posts JSON text. */
export function postJson(url: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: "POST",
    body: new Uint8Array(Buffer.from(body)),
    headers: { "content-type": "application/json", ...headers },
  });
}

/** Sends one HTTP/2 request on a session. */
export async function over2(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body?: string,
): Promise<{ headers: http2.IncomingHttpHeaders; trailers: http2.IncomingHttpHeaders; text: string }> {
  const stream = session.request(headers, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  let trailers: http2.IncomingHttpHeaders = {};
  stream.once("trailers", (told) => (trailers = told));
  const [answer] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  return { headers: answer, trailers, text };
}

/** An RPC side that answers every request with one listener. */
export function rpcByRequest(request: PortListener): Rpc {
  return {
    fastPath: {
      request: (incoming, response) => (request(incoming as IncomingMessage, response as ServerResponse), true),
      stream: () => undefined,
    },
    hasMethod: () => false,
    mount: async () => {},
  };
}
