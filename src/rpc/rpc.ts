import type { ServiceImplSpec } from "@connectrpc/connect";
import type { FastifyInstance } from "fastify";
import { rpcErrors } from "../errors.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { MessageLimits } from "./decode-message.ts";
import { createFastPath, type FastPath } from "./fast-path/fast-path.ts";
import {
  endWith,
  headerOf,
  type HttpRequest,
  type HttpResponse,
  pathOf,
  writeHead,
} from "./fast-path/http-exchange.ts";
import type { Front } from "./front.ts";
import { mountServices } from "./mount.ts";
import { shortMessage } from "./rpc-errors.ts";

/** Dependencies and settings for serving RPCs. */
export interface RpcParts {
  readonly services: readonly ServiceImplSpec[];
  readonly front: Front;
  readonly telemetry: Telemetry;
  readonly messages: MessageLimits;
  /** Origins of web pages that may call. */
  readonly corsOrigins: readonly string[];
  /** Ends streams at shutdown. */
  readonly shutdownSignal?: AbortSignal | undefined;
}

/** Serves the RPCs from outside, for the paths `/jackfield.v1.*` and `/grpc.*`. */
export interface Rpc {
  /** Tried first. Requests that it does not accept go to Fastify. Answers do not reveal which of the two sent them. */
  readonly fastPath: FastPath;
  /** Reports whether a path names a method. */
  hasMethod(path: string): boolean;
  /** Mounts the services on their own Fastify scope. */
  mount(scope: FastifyInstance): Promise<void>;
}

/** Creates the RPC server for HTTP/1.1 and HTTP/2. */
export function createRpc(parts: RpcParts): Rpc {
  const paths = new Set(
    parts.services.flatMap(({ service }) => service.methods.map(({ name }) => `/${service.typeName}/${name}`)),
  );
  return {
    fastPath: createFastPath(parts),
    hasMethod: (path) => paths.has(path),
    mount: (scope) => mountServices(scope, parts),
  };
}

/** Answers a call of a method that does not exist with unimplemented, in the call's protocol. */
export function answerUnknownMethod(request: HttpRequest, response: HttpResponse): void {
  request.resume();
  const message = shortMessage(rpcErrors.unimplemented[1].replace("{}", () => pathOf(request).slice(1)));
  const type = headerOf(request, "content-type") ?? "";
  if (!type.startsWith("application/grpc")) {
    writeHead(response, 404, { "content-type": "application/json" });
    return endWith(response, JSON.stringify({ code: "unimplemented", message }));
  }
  const status = { "grpc-status": "12", "grpc-message": message.replaceAll(/[^ -$&-~]/gu, encodeCharacter) };
  if (type.startsWith("application/grpc-web") || request.httpVersionMajor < 2) {
    writeHead(response, 200, { "content-type": type, ...status });
  } else {
    // DANGER: a status in the headers is valid only if they end the stream, which Node's response cannot do.
    writeHead(response, 200, { "content-type": type });
    response.addTrailers(status);
  }
  response.end();
}

function encodeCharacter(character: string): string {
  return encodeURIComponent(character.toWellFormed());
}
