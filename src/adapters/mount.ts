import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Caller } from "../auth/caller.ts";
import { serveAccept } from "./accept-route.ts";
import type { Adapter, AdapterHost } from "./adapter.ts";
import { serveAnswer } from "./answer-route.ts";
import { createClientGone } from "./client-gone.ts";
import { allowOrigin, answerPreflight } from "./cors.ts";
import { measureAll } from "./measure-all.ts";
import { createPendingCalls } from "./pending-calls.ts";
import { servePoll } from "./poll-route.ts";
import { serveRaw } from "./raw-route.ts";
import { failureFromError, sendFailure } from "./replies.ts";
import { defaultTimes, type RouteContext, type RouteTimes } from "./route-context.ts";
import type { Route } from "./route.ts";
import { serveStream } from "./stream-route.ts";

/**
 * Adds an adapter's routes to the server, with everything that adapters have in common: authentication, budgets, streams,
 * error shapes, preflights, cancellation when a client goes away. Call it before the server is ready.
 */
export function mountAdapter(
  app: FastifyInstance,
  adapter: Adapter,
  host: AdapterHost,
  times: Partial<RouteTimes> = {},
): void {
  const allTimes = { ...defaultTimes, ...times };
  const context: RouteContext = {
    host,
    clientGone: createClientGone(),
    pending: adapter.pending && countPending(app, adapter.pending, allTimes),
    times: allTimes,
  };
  if (!app.hasRequestDecorator("caller")) {
    app.decorateRequest("caller");
    app.decorateRequest("clients");
  }
  for (const route of adapter.routes) mountRoute(app, adapter, route, context);
}

function mountRoute(app: FastifyInstance, adapter: Adapter, route: Route, context: RouteContext): void {
  const { cors } = route;
  const { host } = context;

  const identify = (caller: Caller | undefined, request: FastifyRequest, reply: FastifyReply): boolean => {
    if (caller === undefined) {
      const { authorization, "x-api-key": apiKey } = request.headers;
      const credentials = authorization !== undefined || apiKey !== undefined;
      sendFailure(reply, route, { status: 401, message: "", credentials });
      return false;
    }
    request.caller = caller;
    request.clients = host.clientsFor(caller);
    return true;
  };

  async function identifyLater(
    caller: Promise<Caller | undefined>,
    request: FastifyRequest,
    reply: FastifyReply,
    done: (error?: Error) => void,
  ): Promise<void> {
    try {
      if (identify(await caller, request, reply)) done();
    } catch (error) {
      done(error as Error);
    }
  }

  app.route({
    method: route.method,
    url: route.path,
    // Before the body is read: a request without a key makes us parse nothing.
    onRequest(request, reply, done) {
      if (cors !== undefined) allowOrigin(cors, request, reply);
      const refused = route.admit?.(request.raw);
      if (refused !== undefined) {
        sendFailure(reply, route, refused);
        return;
      }
      const caller = host.authenticate(request.raw);
      if (caller instanceof Promise) void identifyLater(caller, request, reply, done);
      else if (identify(caller, request, reply)) done();
    },
    config: { bodyIsArguments: route.kind === "raw" && route.bodyIsArguments === true },
    handler: serve(route, context),
    errorHandler(error, request, reply) {
      const failure = failureFromError(error, request.body);
      // Fastify closes the connection after any bad body. That is needed only where a body was not read to its end.
      if (failure.status !== 413 || request.raw.httpVersionMajor >= 2) reply.removeHeader("connection");
      if (failure.status >= 500) measureAll(host, route.measureFailure?.(failure));
      if (failure.status === 500) {
        host.log.error({ err: error, adapter: adapter.name, route: route.path }, "request failed");
      }
      return sendFailure(reply, route, failure);
    },
  });
  if (cors !== undefined) {
    app.options(route.path, {
      // Before the body: a preflight has neither a body nor a content type.
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

function countPending(
  app: FastifyInstance,
  { limit, message }: NonNullable<Adapter["pending"]>,
  { pendingRetryMs }: RouteTimes,
) {
  const calls = createPendingCalls({ limit, retryMs: pendingRetryMs });
  app.addHook("onClose", (_app, done) => {
    calls.close();
    done();
  });
  return { calls, message };
}
