import type { FastifyReply, FastifyRequest } from "fastify";
import type { RouteContext } from "./route-context.ts";
import type { RawRoute } from "./route.ts";

/** Serves a route of kind `raw`: the adapter writes the reply itself. */
export function serveRaw(route: RawRoute, context: RouteContext) {
  return (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { caller, clients } = request;
    const trace = context.startTrace(request, route, route.traceparent?.(request.body));
    const signal = context.disconnectSignal(request, reply);
    const served = route.serve({ request, reply, caller, clients, trace, signal });
    // Beside the reply and not before it: the client need not wait for a span to end.
    if (trace !== undefined) {
      served.then(
        () => trace.end(reply.statusCode),
        () => trace.end(500),
      );
    }
    return served;
  };
}
