import type { FastifyReply, FastifyRequest } from "fastify";
import type { SignedRequest } from "../auth/signed-request.ts";
import type { AdapterHost, Requester } from "./adapter.ts";
import { sendFailure } from "./replies.ts";
import type { Route } from "./route.ts";

/** Handles a request. */
export type Serve = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>;

/** The authentication of one route's requests, by their heads and, if they are signed, by their bodies. */
export interface Authentication {
  /**
   * Runs before the body is read, so that nothing is read or parsed for a request without a valid credential. A request
   * that must be authenticated by its body gets an `onBody`.
   */
  ofHead(request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void;
  /** Wraps a handler so that only authenticated requests reach it. */
  guarded(serve: Serve): Serve;
}

/** Thrown if the signature of a body matches no secret. The route answers 401 in its own format. */
class SignatureError extends Error {
  override readonly name = "SignatureError";
  readonly statusCode = 401;
}

const noBody = Buffer.alloc(0);
const wrong = "the signature does not match the body";

/** Texts for callers of platforms without their own. Which part was wrong is only logged for the operator. */
const messages = {
  besideKey: "A valid signature is needed in addition to the key: it is missing, wrong or too old",
  alone: "A valid key or signature is needed: the signature is missing, wrong or too old",
};

function messageFor({ claimed }: SignedRequest<Requester>): string {
  return claimed === undefined ? messages.alone : messages.besideKey;
}

/** Creates the authentication of a route. */
export function createAuthentication(route: Route, host: AdapterHost): Authentication {
  function accept(request: FastifyRequest, { caller, clients }: Requester): true {
    request.caller = caller;
    request.clients = clients;
    return true;
  }

  /** Reports whether the request may continue, either authenticated or with its body still to be checked. */
  function admit(
    found: Requester | SignedRequest<Requester> | undefined,
    request: FastifyRequest,
    reply: FastifyReply,
  ): boolean {
    if (found !== undefined && "clients" in found) return accept(request, found);
    if (found !== undefined && found.problem === undefined) {
      if (route.method === "POST") {
        request.onBody = (body) => proveBody(request, found, body);
        return true;
      }
      if (prove(request, found, noBody)) return true;
      request.refusal = { reason: wrong, caller: found.claimed?.caller };
    } else if (found !== undefined) {
      request.refusal = { reason: found.problem ?? wrong, caller: found.claimed?.caller };
    }
    const { authorization, "x-api-key": apiKey } = request.headers;
    const credentials = found?.claimed !== undefined || authorization !== undefined || apiKey !== undefined;
    sendFailure(reply, route, { status: 401, message: found === undefined ? "" : messageFor(found), credentials });
    return false;
  }

  function prove(request: FastifyRequest, found: SignedRequest<Requester>, body: Buffer): boolean {
    const proof = found.prove(body);
    if (proof === undefined) return false;
    // The header is not signed. Its value could disguise a replayed message as a new one.
    if (proof.messageId !== undefined) request.headers["idempotency-key"] = proof.messageId;
    return accept(request, proof.value);
  }

  /** Throws a SignatureError if the signature matches no secret. */
  function proveBody(request: FastifyRequest, found: SignedRequest<Requester>, body: Buffer): void {
    if (prove(request, found, body)) return;
    request.refusal = { reason: wrong, caller: found.claimed?.caller };
    throw new SignatureError(messageFor(found));
  }

  async function admitLater(
    found: Promise<Requester | undefined>,
    request: FastifyRequest,
    reply: FastifyReply,
    done: (error?: Error) => void,
  ): Promise<void> {
    try {
      if (admit(await found, request, reply)) done();
    } catch (error) {
      done(error as Error);
    }
  }

  return {
    ofHead(request, reply, done) {
      const found = host.authenticate(request.raw);
      if (found instanceof Promise) void admitLater(found, request, reply, done);
      else if (admit(found, request, reply)) done();
    },
    // DANGER: a request without a caller must never get past here, however it arrived.
    guarded: (serve) => (request, reply) => {
      if (request.clients === undefined) throw new SignatureError(messages.alone);
      return serve(request, reply);
    },
  };
}
