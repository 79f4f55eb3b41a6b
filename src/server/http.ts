import fastify from "fastify";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Logger } from "pino";
import type { Limits } from "../config/config.ts";
import type { TlsConfig } from "../config/tls.ts";
import { createRequestFilter } from "./request-filter.ts";
import type { Rpc } from "../rpc/rpc.ts";
import { HttpError, notJson } from "./http-error.ts";
import { createBodyParser } from "./json-body.ts";
import { mountOperatorRoutes } from "./operator-routes.ts";
import type { OperatorParts } from "./operator-routes.ts";
import { PortServer } from "./port.ts";
import type { PortOptions } from "./port.ts";
import { refuseWrongMethods } from "./wrong-method.ts";

/** Dependencies and settings of the HTTP server. */
export interface HttpParts extends OperatorParts {
  /** Address that the port will be bound to. On a loopback address the `Host` header is checked. */
  readonly host: string;
  /** Additional `Host` values that are accepted on a loopback address. */
  readonly allowedHosts: readonly string[];
  /** Paths whose routes check the `Host` header themselves. */
  readonly hostCheckedPaths?: ReadonlySet<string>;
  readonly limits: Pick<Limits, "bodyBytes" | "depth" | "streamsPerConnection">;
  readonly log: Logger;
  /** Handles everything under `/jackfield.v1.` and `/grpc.`. */
  readonly rpc: Rpc;
  /** Functions that add an adapter's routes, each in its own Fastify scope. */
  readonly mounts: readonly ((app: FastifyInstance) => Promise<void> | void)[];
  /** Certificates of the port. Undefined: cleartext. */
  readonly tls?: TlsConfig | undefined;
  /** Limits of the port, for tests. */
  readonly port?: PortOptions;
}

/**
 * Creates the HTTP server on one port for HTTP/1.1 and HTTP/2; call `listen` on the result. Bodies of all routes are
 * strict JSON. Problems are answered with `{"error":"…"}`, in the order 401, 404, 405, 413, 415, 400, unless a mounted
 * scope has its own error format.
 */
export async function createHttp(parts: HttpParts): Promise<FastifyInstance> {
  const { log, limits } = parts;
  const app = fastify({
    logger: false,
    bodyLimit: limits.bodyBytes,
    // Ids in paths may have 256 characters of 4 bytes, each written as %XX.
    routerOptions: { maxParamLength: 3072 },
    // The request filter refuses new work while draining. Requests that passed it are completed.
    return503OnClosing: false,
    schemaController: { compilersFactory: noCompilers },
    serverFactory: (handler) => {
      const { onRequest, onStream } = createRequestFilter({ ...parts, http: handler });
      return new PortServer(onRequest, {
        streams: onStream,
        streamsPerConnection: limits.streamsPerConnection,
        tls: parts.tls && { config: parts.tls, log },
        ...parts.port,
      }) as never;
    },
    clientErrorHandler: answerMalformedHttp,
    frameworkErrors: (_error, _request, reply) => {
      (reply as unknown as FastifyReply).code(400).send({ error: "The request path is malformed" });
    },
  });

  app.removeAllContentTypeParsers();
  // Registered by name for the usual type, so that Fastify need not parse the header.
  app.addContentTypeParser(["application/json", "*"], { parseAs: "buffer" }, createBodyParser(limits));
  app.setErrorHandler((error: FastifyError, request, reply) => answerProblem(error, request, reply, log));
  await app.register(async (scope) => {
    // In its own scope, so that the hook does not slow down other routes. It answers before the body is read.
    scope.addHook("onRequest", (_request, reply) => answerNotFound(reply));
    scope.setNotFoundHandler((_request, reply) => answerNotFound(reply));
  });

  const methods = refuseWrongMethods(app);
  await app.register((scope) => parts.rpc.mount(scope));
  mountOperatorRoutes(app, parts);
  for (const mount of parts.mounts) {
    await app.register(async (scope) => {
      await mount(scope);
    });
  }
  methods.fill();
  return app;
}

/**
 * Routes give Fastify no schema, so that it has nothing to compile. Without these two it would load a second Ajv and
 * fast-json-stringify at each start.
 */
const noCompilers = {
  buildValidator: refuseRouteSchema,
  buildSerializer: refuseRouteSchema,
};

function refuseRouteSchema(): never {
  throw new Error("a route has a schema of Fastify's: check its body in the handler");
}

function answerNotFound(reply: FastifyReply): void {
  reply.code(404).send({ error: "Not found" });
}

function answerProblem(error: FastifyError, request: FastifyRequest, reply: FastifyReply, log: Logger): void {
  const status = error.statusCode ?? 500;
  // Fastify closes the connection after every bad body. That is necessary only if the body was not read to its end.
  if (status !== 413 || request.raw.httpVersionMajor === 2) reply.removeHeader("connection");
  if (status >= 400 && status < 500) {
    reply.code(status).send({ error: messageFor(error, status) });
    return;
  }
  log.error({ err: error, method: request.method, route: request.routeOptions.url }, "a route failed");
  reply.code(500).send({ error: "Internal server error" });
}

function messageFor(error: FastifyError, status: number): string {
  if (error instanceof HttpError) return error.message;
  if (status === 413) return "The request body is too large";
  if (status === 415) return notJson;
  return error.code === "FST_ERR_CTP_INVALID_CONTENT_LENGTH"
    ? "The request body does not match Content-Length"
    : "Bad request";
}

const malformedHttpStatus: Record<string, string> = {
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "413 Payload Too Large",
};

/** Answers a request that is not HTTP, too slow or too long in its head, and closes the connection. */
function answerMalformedHttp(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || socket.destroyed) return;
  const response = (socket as Socket & { _httpMessage?: ServerResponse<IncomingMessage> })._httpMessage;
  if (socket.writable && response?.headersSent !== true) {
    const status = malformedHttpStatus[error.code ?? ""] ?? "400 Bad Request";
    const body = JSON.stringify({ error: status.slice(4) });
    socket.write(
      `HTTP/1.1 ${status}\r\nContent-Type: application/json; charset=utf-8\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
  }
  socket.destroy();
}
