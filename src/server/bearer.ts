import type { FastifyReply, FastifyRequest, onRequestHookHandler } from "fastify";
import type { Caller } from "../auth/caller.ts";
import type { Challenges } from "../auth/challenge.ts";
import type { Scope } from "../config/scope.ts";
import type { AccessRefusals } from "../telemetry/access-refusals.ts";

/**
 * Finds the caller of an Authorization header. Returns undefined without a valid credential, and a promise if the
 * credential is a token.
 */
export type Authenticate = (authorization: string | undefined) => Caller | undefined | Promise<Caller | undefined>;

/** Authentication, and the record of the requests that it refuses. */
export interface Access {
  readonly authenticate: Authenticate;
  readonly refusals: AccessRefusals;
  readonly challenges: Challenges;
}

/** The authenticated callers of requests, set by `requireScope` before the route runs. */
export type Callers = WeakMap<FastifyRequest, Caller>;

/**
 * Creates a hook that admits only callers with a scope: it answers 401 without a valid credential, 403 without the
 * scope. It records both.
 */
export function requireScope(
  { authenticate, refusals, challenges }: Access,
  callers: Callers,
  scope: Scope,
): onRequestHookHandler {
  const decide = (caller: Caller | undefined, request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    const target = `${request.method} ${request.routeOptions.url}`;
    if (caller === undefined) {
      refusals.record({ code: "unauthenticated", target, reason: "no valid key" });
      const isMissing = request.headers.authorization === undefined;
      reply.code(401).header("www-authenticate", isMissing ? challenges.missing : challenges.invalid);
      reply.send({ error: "A valid key is needed: send Authorization: Bearer KEY" });
      return;
    }
    callers.set(request, caller);
    if (caller.scopes.has(scope)) done();
    else {
      refusals.record({ code: "permission_denied", target, caller, reason: "the caller lacks a scope" });
      reply.code(403).header("www-authenticate", challenges.insufficient(scope));
      reply.send({ error: `This caller lacks the scope ${scope}` });
    }
  };
  const decideLater = async (
    caller: Promise<Caller | undefined>,
    request: FastifyRequest,
    reply: FastifyReply,
    done: (error?: Error) => void,
  ): Promise<void> => {
    try {
      decide(await caller, request, reply, done);
    } catch (error) {
      done(error as Error);
    }
  };
  return (request: FastifyRequest, reply: FastifyReply, done) => {
    const caller = authenticate(request.headers.authorization);
    if (caller instanceof Promise) void decideLater(caller, request, reply, done);
    else decide(caller, request, reply, done);
  };
}
