import type { Socket } from "node:net";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { serveAccept } from "./accept-route.ts";
import type { Adapter, AdapterHost, Requester } from "./adapter.ts";
import { serveAnswer } from "./answer-route.ts";
import { type Authentication, createAuthentication } from "./authentication.ts";
import { servePoll } from "./poll-route.ts";
import { serveRaw } from "./raw-route.ts";
import { failureFromError, sendFailure } from "./replies.ts";
import { type RouteContext, type RouteTimes, whenClosed, whenClosedEarly } from "./route-context.ts";
import type { Route, RouteBase } from "./route.ts";
import { serveStream } from "./stream-route.ts";

const defaultTimes: RouteTimes = {
  commentEveryMs: 15_000,
  openAfterMs: 250,
  lingerMs: 5000,
  storeWithinMs: 2000,
  pendingRetryMs: 1000,
};

/**
 * Adds an adapter's routes to the server, with everything that all adapters need: authentication, deadlines, streams,
 * error formats, preflights, and cancellation when a client disconnects. Call it before the server is ready.
 */
export function mountAdapter(
  app: FastifyInstance,
  adapter: Adapter,
  host: AdapterHost,
  times: Partial<RouteTimes> = {},
): void {
  const context = createRouteContext(app, host, times);
  if (!app.hasRequestDecorator("caller")) {
    app.decorateRequest("caller");
    app.decorateRequest("clients");
    app.decorateRequest("refusal");
    app.decorateRequest("about");
    app.decorateRequest("onBody");
    app.decorateRequest("bodyIsArguments", false);
  }
  for (const route of adapter.routes) mountRoute(app, adapter, route, context);
}

function mountRoute(app: FastifyInstance, adapter: Adapter, route: Route, context: RouteContext): void {
  const { cors } = route;
  const { host } = context;
  const bodyIsArguments = route.kind === "raw" && route.bodyIsArguments === true;

  const authentication = host.open === undefined ? createAuthentication(route, host) : admitAs(host.open);

  app.route({
    method: route.method,
    url: route.path,
    // Runs before the body is read, so that nothing is parsed for a request without a key.
    onRequest(request, reply, done) {
      if (cors !== undefined) allowOrigin(cors, request, reply);
      const refused = route.admit?.(request.raw);
      if (refused !== undefined) {
        sendFailure(reply, route, refused);
        return;
      }
      if (bodyIsArguments) request.bodyIsArguments = true;
      authentication.ofHead(request, reply, done);
    },
    config: { recordRefusal: (request, status) => recordRefusal(request, status, host) },
    handler: authentication.guarded(serve(route, context)),
    errorHandler(error, request, reply) {
      const failure = failureFromError(error, request.body);
      // Fastify closes the connection after every bad body. That is necessary only if the body was not read to its end.
      if (failure.status !== 413 || request.raw.httpVersionMajor >= 2) reply.removeHeader("connection");
      if (failure.status >= 500) route.measureFailure?.(failure, host.measure);
      if (failure.status === 500) {
        host.log.error({ err: error, adapter: adapter.name, route: route.path, ...request.about }, "request failed");
      }
      return sendFailure(reply, route, failure);
    },
  });
  if (cors !== undefined) {
    app.options(route.path, {
      // Runs before the body is parsed, because a preflight has neither body nor content type.
      onRequest: (request, reply) => void answerPreflight(route, cors, request, reply),
      handler: (_request, reply) => reply,
    });
  }
}

function serve(
  route: Route,
  context: RouteContext,
): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply> {
  switch (route.kind) {
    case "answer":
      return serveAnswer(route, context);
    case "stream":
      return serveStream(route, context);
    case "accept":
      return serveAccept(route, context);
    case "poll":
      return servePoll(route, context);
    case "raw":
      return serveRaw(route, context);
  }
}

/**
 * Creates the context. An HTTP/1 connection carries one request at a time, so all its requests share one signal. An
 * HTTP/2 request has its own stream, and its own signal.
 */
function createRouteContext(app: FastifyInstance, host: AdapterHost, given: Partial<RouteTimes>): RouteContext {
  const times = { ...defaultTimes, ...given };
  const connections = new WeakMap<Socket, AbortSignal>();
  return {
    host,
    times,
    startTrace(request, route, otherwise) {
      const shared = route.kind === "stream" || route.kind === "accept";
      const { traceparent = otherwise, tracestate } = request.headers;
      if (traceparent === undefined && !shared && !host.tracing) return undefined;
      return host.startTrace({
        method: route.method,
        path: route.path,
        traceparent: typeof traceparent === "string" ? traceparent : undefined,
        tracestate: tracestate?.toString(),
        shared,
      });
    },
    disconnectSignal(request, reply) {
      if (request.raw.httpVersionMajor >= 2) return whenClosedEarly(reply);
      const socket = request.raw.socket;
      let signal = connections.get(socket);
      if (signal === undefined) connections.set(socket, (signal = whenClosed(socket)));
      return signal;
    },
    onClose(close) {
      app.addHook("onClose", (_app, done) => {
        close();
        done();
      });
    },
  };
}

/** Admits every request as the same sender. */
function admitAs({ caller, clients }: Requester): Authentication {
  return {
    ofHead(request, _reply, done) {
      request.caller = caller;
      request.clients = clients;
      done();
    },
    guarded: (serve) => serve,
  };
}

/** Records a refused key or scope. RPCs and the operator's routes record theirs themselves. */
function recordRefusal(request: FastifyRequest, status: 401 | 403, host: AdapterHost): void {
  const { refusal } = request;
  host.recordRefusal({
    code: status === 401 ? "unauthenticated" : "permission_denied",
    target: `${request.method} ${request.routeOptions.url}`,
    caller: refusal?.caller,
    reason: refusal?.reason ?? (status === 401 ? "no valid key" : "the caller lacks a scope"),
  });
}

/** Lets web pages of the declared origins read the route's answers. Costs nothing for requests without an `Origin`. */
function allowOrigin(cors: NonNullable<RouteBase["cors"]>, request: FastifyRequest, reply: FastifyReply): boolean {
  const origin = request.headers.origin;
  if (origin === undefined) return false;
  reply.header("vary", "Origin");
  if (!cors.origins.includes(origin)) return false;
  reply.header("access-control-allow-origin", origin);
  return true;
}

/** Answers a preflight request (Fetch standard, section 4.8). */
function answerPreflight(
  route: RouteBase,
  cors: NonNullable<RouteBase["cors"]>,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  if (allowOrigin(cors, request, reply)) {
    reply.header("access-control-allow-methods", route.method);
    reply.header("access-control-allow-headers", cors.headers.join(", "));
  }
  return reply.code(204).header("allow", `${route.method}, OPTIONS`).send();
}
