import type { IncomingMessage } from "node:http";
import {
  createContextKey,
  type ConnectRouter,
  type ContextKey,
  type HandlerContext,
  type Interceptor,
  type ServiceImplSpec,
  type StreamRequest,
  type StreamResponse,
} from "@connectrpc/connect";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { rpcError } from "../errors.ts";
import type { Caller } from "../auth/caller.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { allowOrigins } from "./cors.ts";
import { maxTimeoutMs } from "./deadline.ts";
import { binaryReadOptions, jsonReadOptions, type MessageLimits, strictJsonDecoder } from "./decode-message.ts";
import { compressions } from "./fast-path/fast-path.ts";
import { authorizationOf, headerOf } from "./fast-path/http-exchange.ts";
import type { Front } from "./front.ts";
import { CallValues, kCall, kConnection, RpcCall } from "./rpc-call.ts";
import { inputErrorFrom } from "./rpc-errors.ts";
import { restoreMessage, splitStreams } from "./split-streams.ts";
import { keepBodiesOpen, readRest } from "./unread-body.ts";
import { endUnreadCalls } from "./unread-message.ts";
import { untilCancelled } from "./until-cancelled.ts";

/** Dependencies and settings for mounting the services. */
export interface MountParts {
  readonly services: readonly ServiceImplSpec[];
  readonly front: Front;
  readonly telemetry: Pick<Telemetry, "extract">;
  readonly messages: MessageLimits;
  /** Origins of web pages that may call. */
  readonly corsOrigins: readonly string[];
  /** Ends open-ended streams at shutdown. */
  readonly shutdownSignal?: AbortSignal | undefined;
}

/** Key of a call's HTTP request, until its RpcCall is created. */
const kRequest: ContextKey<HttpCall | undefined> = createContextKey<HttpCall | undefined>(undefined, {
  description: "jackfield.http-request",
});

interface HttpCall {
  readonly authorization: string | undefined;
  readonly timeout: string | undefined;
  /** The caller, if finding it was asynchronous. */
  caller?: Caller | undefined;
}

/**
 * Mounts the services on their own Fastify scope, with Connect's plugin for Fastify. It serves everything that the fast
 * path does not accept: streams, GET, preflights. The hooks of the scope and of the server see these requests.
 */
export async function mountServices(scope: FastifyInstance, parts: MountParts): Promise<void> {
  const { readMaxBytes } = parts.messages;
  const jsonOptions = { ...jsonReadOptions, textDecoder: strictJsonDecoder };
  const requests = new WeakMap<IncomingMessage, HttpCall>();
  // Connect itself answers unknown content types.
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser("*", (_request, _payload, done) => done(null));
  allowOrigins(scope, parts.corsOrigins);
  scope.addHook("onRequest", (request, reply, done) => {
    readRest(request.raw, reply.raw);
    const host = request.raw.headers.host ?? request.raw.headers[":authority"];
    // Connect combines them to a URL.
    if (host === undefined || !URL.canParse(request.raw.url ?? "", `http://${String(host)}`)) {
      reply.code(400).send({ error: "The request names no valid host and path" });
      return;
    }
    const call = takeHttpCall(request.raw);
    requests.set(request.raw, call);
    const caller = parts.front.authenticate(call.authorization);
    if (caller instanceof Promise) void identifyLater(call, caller, done);
    else {
      call.caller = caller;
      done();
    }
  });
  await scope.register(fastifyConnectPlugin, {
    routes: (router) => {
      createRoutes(parts.services)(router);
      endUnreadCalls(router, parts.front);
      splitStreams(router, compressions, parts.messages);
      keepBodiesOpen(router);
      nameAllowedMethods(router);
    },
    acceptCompression: compressions,
    readMaxBytes,
    requireConnectProtocolHeader: false,
    jsonOptions,
    binaryOptions: binaryReadOptions,
    maxTimeoutMs,
    contextValues: ({ raw }: FastifyRequest) =>
      new CallValues().set(kRequest, requests.get(raw)).set(kConnection, connectionOf(raw)),
    ...createFrontHooks(parts),
    ...(parts.shutdownSignal === undefined ? {} : { shutdownSignal: parts.shutdownSignal }),
  });
}

/** Registers every method of the services with a Connect router. */
export function createRoutes(services: readonly ServiceImplSpec[]): (router: ConnectRouter) => void {
  return (router) => {
    for (const { methods } of services) {
      for (const spec of Object.values(methods)) {
        // A case per kind, so that the type checker relates descriptor and function.
        switch (spec.kind) {
          case "unary":
            router.rpc(spec.method, spec.impl);
            break;
          case "server_streaming":
            router.rpc(spec.method, spec.impl);
            break;
          case "client_streaming":
            router.rpc(spec.method, spec.impl);
            break;
          case "bidi_streaming":
            router.rpc(spec.method, spec.impl);
            break;
        }
      }
    }
  };
}

/** Adds `Allow` to the answers to methods of HTTP that an RPC does not support (RFC 9110, section 15.5.6). */
function nameAllowedMethods(router: ConnectRouter): void {
  for (const [index, handler] of router.handlers.entries()) {
    const header = new Headers({ allow: handler.allowedMethods.join(", ") });
    const serve: typeof handler = Object.assign(async (request: Parameters<typeof handler>[0]) => {
      const response = await handler(request);
      return response.status === 405 ? { ...response, header } : response;
    }, handler);
    router.handlers[index] = serve;
  }
}

/**
 * Creates the functions through which Connect's handlers use the front: before they read a message, and around the
 * method.
 */
export function createFrontHooks(parts: Pick<MountParts, "front" | "telemetry">) {
  return {
    requestGate: (context: HandlerContext) => admit(parts, context),
    interceptors: [createInterceptor(parts.front)],
  };
}

async function identifyLater(
  call: HttpCall,
  caller: Promise<Caller | undefined>,
  done: (error?: Error) => void,
): Promise<void> {
  try {
    call.caller = await caller;
    done();
  } catch (error) {
    done(error as Error);
  }
}

/** Removes the deadline from the headers, so that only the front reads and starts it. */
function takeHttpCall(raw: IncomingMessage): HttpCall {
  const isGrpc = headerOf(raw, "content-type")?.toLowerCase().startsWith("application/grpc") === true;
  const name = isGrpc ? "grpc-timeout" : "connect-timeout-ms";
  const timeout = headerOf(raw, name);
  delete raw.headers[name];
  return { authorization: authorizationOf(raw), timeout };
}

function connectionOf(raw: IncomingMessage): object | undefined {
  return "stream" in raw ? (raw.stream as { session?: object }).session : raw.socket;
}

/** Begins the call and runs the front's steps. Connect calls it before it reads a message. */
function admit({ front, telemetry }: Pick<MountParts, "front" | "telemetry">, context: HandlerContext): void {
  const { values, requestHeader } = context;
  if (!(values instanceof CallValues)) throw rpcError("internal");
  const request = values.get(kRequest);
  const call = front.begin(
    new RpcCall({
      method: context.method,
      protocolName: context.protocolName,
      url: context.url,
      authorization: request?.authorization,
      caller: request?.caller,
      timeout: request?.timeout,
      trace: telemetry.extract(
        requestHeader.get("traceparent") ?? undefined,
        requestHeader.get("tracestate") ?? undefined,
      ),
      signal: context.signal,
      values,
    }),
  );
  try {
    // Without the preceding hook, which awaits tokens, only keys are recognised.
    if (request === undefined) void front.identify(call);
    front.admit(call);
  } catch (reason) {
    throw front.end(call, { reason });
  }
}

/** Invokes the method until the call is cancelled, and ends the call. */
function createInterceptor(front: Front): Interceptor {
  return (next) => async (request) => {
    const call = request.contextValues.get(kCall);
    if (call === undefined) throw rpcError("internal");
    try {
      if (!request.stream) {
        const answer = await next(request);
        front.end(call);
        return answer;
      }
      const answer = await next({ ...request, message: readable(request) });
      return answer.stream ? { ...answer, message: streamed(answer, call, front) } : answer;
    } catch (reason) {
      throw front.end(call, { reason });
    }
  };
}

async function* readable({
  method,
  message: messages,
  contextValues,
}: StreamRequest): StreamRequest["message"] & AsyncGenerator {
  try {
    for await (const message of messages) {
      restoreMessage(method.input, message, contextValues);
      yield message;
    }
  } catch (reason) {
    throw inputErrorFrom(reason);
  }
}

async function* streamed(
  answer: StreamResponse,
  call: RpcCall,
  front: Front,
): StreamResponse["message"] & AsyncGenerator {
  let ended = false;
  try {
    yield* untilCancelled(answer.message, call);
    ended = true;
    front.end(call);
  } catch (reason) {
    ended = true;
    throw front.end(call, { reason });
  } finally {
    // The reader has disconnected.
    if (!ended) front.end(call, { reason: rpcError("canceled") });
  }
}
