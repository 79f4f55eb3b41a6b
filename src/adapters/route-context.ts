import type { FastifyRequest } from "fastify";
import type { Caller } from "../auth/caller.ts";
import type { AdapterClients, AdapterHost, RequestTrace } from "./adapter.ts";
import type { ClientGone } from "./client-gone.ts";
import type { PendingCalls } from "./pending-calls.ts";
import type { Route } from "./route.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Who sent the request. Set by the routes of adapters before the body is read. */
    caller: Caller;
    /** Clients that act as the caller. Set together with it. */
    clients: AdapterClients;
  }
}

/** Times that tests shorten, in milliseconds. */
export interface RouteTimes {
  /** Interval of comment lines in an idle stream of events. */
  readonly commentEveryMs: number;
  /** How long a stream waits for a first event before it opens: until then a failure can still be a status. */
  readonly openAfterMs: number;
  /** How much longer than its answer deadline a stream may stay open. */
  readonly lingerMs: number;
  /** How long storing a job may take. */
  readonly storeWithinMs: number;
  /** Pause after the state of a pending call could not be read. */
  readonly pendingRetryMs: number;
}

/** The times in production. */
export const defaultTimes: RouteTimes = {
  commentEveryMs: 15_000,
  openAfterMs: 250,
  lingerMs: 5000,
  storeWithinMs: 2000,
  pendingRetryMs: 1000,
};

/** What the routes of one adapter share. */
export interface RouteContext {
  readonly host: AdapterHost;
  readonly clientGone: ClientGone;
  readonly pending: { readonly calls: PendingCalls; readonly message: string } | undefined;
  readonly times: RouteTimes;
}

/** Starts the span of a request. `otherwise` is its trace context where the request has no header for it. */
export function startTrace(
  host: AdapterHost,
  request: FastifyRequest,
  route: Route,
  otherwise?: string,
): RequestTrace | undefined {
  const { traceparent = otherwise, tracestate } = request.headers;
  return host.startTrace({
    method: route.method,
    path: route.path,
    traceparent: typeof traceparent === "string" ? traceparent : undefined,
    tracestate: Array.isArray(tracestate) ? tracestate.join(",") : tracestate,
    shared: route.kind === "stream" || route.kind === "accept",
  });
}
