import { Code, ConnectError } from "@connectrpc/connect";
import type { FastifyReply } from "fastify";
import { type Fault, PayloadError, type Reply } from "./adapter.ts";

/** Seconds after which a client should try again when the service is busy or going down. */
export const retrySeconds = 1;

const jsonType = "application/json; charset=utf-8";

/** Sends a reply: its body is JSON text already. */
export function sendReply(reply: FastifyReply, { status, body, headers }: Reply): FastifyReply {
  if (headers !== undefined) reply.headers(headers);
  return sendJson(reply.code(status), body);
}

/** Sends JSON text. */
export function sendJson(reply: FastifyReply, body: string): FastifyReply {
  return reply.header("content-type", jsonType).send(body);
}

/** Sends a fault in the route's shape, with `Retry-After` where it may pass. */
export function sendFault(reply: FastifyReply, route: { fault(fault: Fault): Reply }, fault: Fault): FastifyReply {
  if (fault.retryAfter !== undefined) reply.header("retry-after", String(fault.retryAfter));
  return sendReply(reply, route.fault(fault));
}

/** What an error means to the platform: whatever is not known to be its own doing is a 500 that says nothing. */
export function faultFromError(error: unknown, payload: unknown): Fault {
  if (error instanceof PayloadError) return { status: 400, message: error.message, payload };
  if (error instanceof ConnectError) return faultFromConnect(error, payload);
  const status = statusOf(error);
  if (status === undefined || status < 400 || status > 499) return { status: 500, message: "", payload };
  return { status, message: words(status, error), payload };
}

function faultFromConnect(error: ConnectError, payload: unknown): Fault {
  const message = error.rawMessage;
  switch (error.code) {
    case Code.InvalidArgument:
      return { status: 400, message, payload };
    case Code.PermissionDenied:
      return { status: 403, message, payload };
    case Code.Unavailable:
    case Code.ResourceExhausted:
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

function words(status: number, error: unknown): string {
  if (status === 413) return "The request body is too large";
  if (status === 415) return "Content-Type must be application/json";
  // The parser's own words quote the body.
  if (!(error instanceof Error) || error instanceof SyntaxError) return "The request body is not valid JSON";
  return error.message;
}
