import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { serveAccept } from "./accept-route.ts";
import type { Adapter, AdapterHost, Route } from "./adapter.ts";
import { serveAnswer } from "./answer-route.ts";
import { createClientGone } from "./client-gone.ts";
import { allowOrigin, answerPreflight } from "./cors.ts";
import { faultFromError, sendFault } from "./fault.ts";
import { type MountedAdapter, type MountTimes, usualTimes } from "./mounted.ts";
import { createPendingCalls } from "./pending-calls.ts";
import { findCall, servePoll } from "./poll-route.ts";
import { serveStream } from "./stream-route.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Name of the key that the request came with, "" where keys have no names. Set by the routes of adapters. */
    keyName: string;
  }
}

/**
 * Adds an adapter's routes to the server, with all that adapters have in common: keys, budgets, streams, faults, browsers'
 * preflights, what happens when a client goes away. Call before the server is ready.
 */
export function mountAdapter(
  app: FastifyInstance,
  adapter: Adapter,
  host: AdapterHost,
  times: Partial<MountTimes> = {},
): void {
  const allTimes = { ...usualTimes, ...times };
  const named: AdapterHost = {
    clientsFor: (name) => host.clientsFor(name === "" ? undefined : name),
    telemetry: host.telemetry,
    version: host.version,
  };
  const mounted: MountedAdapter = {
    host: named,
    clientGone: createClientGone(),
    pending: adapter.pending && watchPending(app, adapter.pending, named, allTimes),
    times: allTimes,
  };
  if (!app.hasRequestDecorator("keyName")) app.decorateRequest("keyName", "");
  for (const route of adapter.routes) mountRoute(app, adapter, route, mounted);
}

function mountRoute(app: FastifyInstance, adapter: Adapter, route: Route, mounted: MountedAdapter): void {
  const { cors } = route;
  app.route({
    method: route.method,
    url: route.path,
    // Before the body is read: nobody without a key makes us parse anything.
    onRequest(request, reply, done) {
      if (cors !== undefined) allowOrigin(cors, request, reply);
      const keyName = adapter.keys(request.raw);
      if (keyName === undefined) {
        sendFault(reply, route, { status: 401, message: "" });
        return;
      }
      request.keyName = keyName;
      done();
    },
    handler: serve(route, mounted),
    errorHandler(error, request, reply) {
      const fault = faultFromError(error, request.body);
      // Fastify closes the connection after any bad body; only of one that was not read to its end must we be rid.
      if (fault.status !== 413 || request.raw.httpVersionMajor >= 2) reply.removeHeader("connection");
      if (fault.status === 500) {
        mounted.host.telemetry.log.error(
          { err: error, adapter: adapter.name, route: route.path },
          "a request could not be served",
        );
      }
      return sendFault(reply, route, fault);
    },
  });
  if (cors !== undefined) {
    app.options(route.path, {
      // Before the body: a preflight has none, and no content type either.
      onRequest: (request, reply) => void answerPreflight(route, cors, request, reply),
      handler: (_request, reply) => reply,
    });
  }
}

function serve(
  route: Route,
  mounted: MountedAdapter,
): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply> {
  switch (route.kind) {
    case "answer":
      return serveAnswer(route, mounted);
    case "stream":
      return serveStream(route, mounted);
    case "accept":
      return serveAccept(route, mounted);
    case "poll":
      return servePoll(route, mounted);
  }
}

function watchPending(
  app: FastifyInstance,
  { limit, refusal }: NonNullable<Adapter["pending"]>,
  host: AdapterHost,
  times: MountTimes,
) {
  const calls = createPendingCalls({
    limit,
    sweepEveryMs: times.sweepEveryMs,
    async stillRuns(keyName, callId) {
      const found = await findCall(host.clientsFor(keyName), callId);
      return found !== undefined && found.result === undefined;
    },
  });
  app.addHook("onClose", (_app, done) => {
    calls.close();
    done();
  });
  return { calls, refusal };
}
