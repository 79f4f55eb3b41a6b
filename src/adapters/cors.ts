import type { FastifyReply, FastifyRequest } from "fastify";
import type { RouteBase } from "./route.ts";

/** Lets browsers of the declared origins read the route's answers. Costs nothing for requests without an `Origin`. */
export function allowOrigin(
  cors: NonNullable<RouteBase["cors"]>,
  request: FastifyRequest,
  reply: FastifyReply,
): boolean {
  const origin = request.headers.origin;
  if (origin === undefined) return false;
  reply.header("vary", "Origin");
  if (!cors.origins.includes(origin)) return false;
  reply.header("access-control-allow-origin", origin);
  return true;
}

/** Answers a preflight request. Source: the Fetch standard, section 4.8. */
export function answerPreflight(
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
