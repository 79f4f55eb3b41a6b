import type { ServiceImplSpec } from "@connectrpc/connect";
import type { FastifyInstance } from "fastify";
import { rpcErrors } from "../errors.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
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

/** What serving RPCs to the outside needs. */
export interface RpcParts {
  readonly services: readonly ServiceImplSpec[];
  readonly front: Front;
  readonly telemetry: Telemetry;
  /** Longest message in bytes, also after decompression. */
  readonly readMaxBytes: number;
  /** Origins of pages whose scripts may call. */
  readonly corsOrigins: readonly string[];
  /** Ends streams at the shutdown. */
  readonly shutdownSignal?: AbortSignal | undefined;
}

/** Everything that answers RPCs from outside, for the paths `/jackfield.v1.*` and `/grpc.*`. */
export interface Rpc {
  /** Is asked first. What it leaves goes to Fastify; which of them has answered cannot be told from an answer. */
  readonly fastPath: FastPath;
  /** Whether a path names a method. */
  hasMethod(path: string): boolean;
  /** Mounts the services on a Fastify scope of their own. */
  mount(scope: FastifyInstance): Promise<void>;
}

/** Creates the answering of RPCs over HTTP/1.1 and HTTP/2. */
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

/** Answers a call of a method that does not exist, in its own protocol: unimplemented. */
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
    // DANGER: in headers the status only counts when they end the stream, and Node's response has no way to do that.
    writeHead(response, 200, { "content-type": type });
    response.addTrailers(status);
  }
  response.end();
}

function encodeCharacter(character: string): string {
  return encodeURIComponent(character.toWellFormed());
}
