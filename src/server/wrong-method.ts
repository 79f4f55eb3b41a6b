import { METHODS } from "node:http";
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions, onRequestHookHandler } from "fastify";
import { HttpError } from "./http-error.ts";

interface Path {
  /** The Fastify instance that declares the path. Its hooks and error format also apply to the refusal. */
  readonly scope: FastifyInstance;
  readonly route: RouteOptions & { routePath: string };
  readonly methods: Set<string>;
}

/**
 * Answers requests with a wrong method for a known path: 405 with `Allow`, after the path's own `onRequest` hooks, so
 * that a caller without a key learns nothing. Call it before the first route is declared, and `fill` after the last
 * one.
 */
export function refuseWrongMethods(app: FastifyInstance): { fill(): void } {
  const paths = new Map<string, Path>();
  let filling = false;
  for (const method of METHODS)
    if (method !== "CONNECT" && !app.supportedMethods.includes(method)) app.addHttpMethod(method);

  app.addHook("onRoute", function (this: FastifyInstance, route) {
    if (filling || route.url.includes("*")) return;
    const methods = [route.method].flat();
    const known = paths.get(route.url);
    if (known === undefined) paths.set(route.url, { scope: this, route, methods: new Set(methods) });
    else {
      for (const method of methods) known.methods.add(method);
      // Preflights carry no key, so the hooks of the path's real method apply.
      if (known.route.method === "OPTIONS") paths.set(route.url, { scope: this, route, methods: known.methods });
    }
  });

  const fill = (): void => {
    filling = true;
    for (const { scope, route, methods } of paths.values()) {
      const allow = [...methods].sort().join(", ");
      // Thrown, so that the path's own error format applies.
      const refuse: onRequestHookHandler = (_request: FastifyRequest, reply: FastifyReply, done) => {
        reply.header("allow", allow);
        done(new HttpError(405, "Method not allowed"));
      };
      const others = app.supportedMethods.filter((method) => !methods.has(method));
      if (others.length === 0) continue;
      const hooks = [route.onRequest ?? []].flat() as onRequestHookHandler[];
      const { errorHandler } = route;
      scope.route({
        method: others,
        url: route.routePath,
        onRequest: [...hooks, refuse],
        handler: () => {},
        ...(errorHandler !== undefined && { errorHandler }),
      });
    }
  };
  return { fill };
}
