import type { FastifyReply, FastifyRequest } from "fastify";
import type { RouteContext } from "./route-context.ts";
import type { RawRoute } from "./route.ts";

/** Serves a route of kind `raw`: the adapter writes the reply itself. */
export function serveRaw(route: RawRoute, context: RouteContext) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { caller, clients } = request;
    const trace = context.startTrace(request, route, route.traceparent?.(request.body));
    try {
      const served = await route.serve({
        request,
        reply,
        caller,
        clients,
        trace,
        signal: context.clientGone(request, reply),
      });
      trace?.end(reply.statusCode);
      return served;
    } catch (error) {
      trace?.end(500);
      throw error;
    }
  };
}
