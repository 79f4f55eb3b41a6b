import type { ServiceImplSpec } from "@connectrpc/connect";
import type { FastifyInstance } from "fastify";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { createFastPath, type FastPath } from "./fast-path/fast-path.ts";
import type { Front } from "./front.ts";
import { mountServices } from "./mount.ts";

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
