import { Code, ConnectError } from "@connectrpc/connect";
import type { FastifyReply } from "fastify";
import { PayloadError, type Reply, type RequestFailure } from "./route.ts";

/** Seconds after which a client should retry while the service is busy or shutting down. */
export const retrySeconds = 1;

/** The content type of JSON text. */
export const jsonType = "application/json; charset=utf-8";

declare module "fastify" {
  interface FastifyContextConfig {
    /** Records the refusal of a request. Set by the adapters' routes. */
    recordRefusal?(request: FastifyRequest, status: 401 | 403): void;
  }
}

/** Sends a reply whose body is already JSON text. Every refusal is sent by it, because it records them. */
export function sendReply(reply: FastifyReply, { status, body, headers }: Reply): FastifyReply {
  if (status === 401 || status === 403) reply.routeOptions.config.recordRefusal?.(reply.request, status);
  if (headers !== undefined) reply.headers(headers);
  return sendJson(reply.code(status), body);
}

/** Sends JSON text. */
export function sendJson(reply: FastifyReply, body: string): FastifyReply {
  return reply.header("content-type", jsonType).send(body);
}

/** Sends a failure in the route's format, with `Retry-After` if a later attempt can succeed. */
export function sendFailure(
  reply: FastifyReply,
  route: { failure(failure: RequestFailure): Reply },
  failure: RequestFailure,
): FastifyReply {
  if (failure.retryAfter !== undefined) reply.header("retry-after", String(failure.retryAfter));
  return sendReply(reply, route.failure(failure));
}

/**
 * Converts an error to a failure for the platform. Every error that is not known to be the platform's own mistake
 * becomes a 500 without details.
 */
export function failureFromError(error: unknown, payload: unknown): RequestFailure {
  if (error instanceof PayloadError) return { status: 400, message: error.message, payload };
  if (error instanceof ConnectError) return failureFromConnect(error, payload);
  const status = statusOf(error);
  if (status === undefined || status < 400 || status > 499) return { status: 500, message: "", payload };
  const failure = { status, message: messageOf(status, error), payload };
  // The body is read only if it can authenticate the request, so a 401 after that had a credential.
  return status === 401 ? { ...failure, credentials: true } : failure;
}

function failureFromConnect(error: ConnectError, payload: unknown): RequestFailure {
  const message = error.rawMessage;
  const wait = error.metadata.get("retry-after");
  switch (error.code) {
    case Code.InvalidArgument:
      return { status: 400, message, payload };
    case Code.PermissionDenied:
      return { status: 403, message, payload };
    case Code.ResourceExhausted:
      // With a time to wait, the caller exceeded its rate; otherwise a limit of the service is reached.
      return wait === null
        ? { status: 503, message, retryAfter: retrySeconds, payload }
        : { status: 429, message, retryAfter: Number(wait), payload };
    case Code.Unavailable:
    case Code.DeadlineExceeded:
      return { status: 503, message, retryAfter: retrySeconds, payload };
    default:
      return { status: 500, message: "", payload };
  }
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null || !("statusCode" in error)) return undefined;
  return typeof error.statusCode === "number" ? error.statusCode : undefined;
}

function messageOf(status: number, error: unknown): string {
  if (status === 413) return "The request body is too large";
  if (status === 415) return "Content-Type must be application/json";
  // The parser's own message quotes the body.
  if (!(error instanceof Error) || error instanceof SyntaxError) return "The request body is not valid JSON";
  return error.message;
}
