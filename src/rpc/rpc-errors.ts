import { Code, ConnectError } from "@connectrpc/connect";
import type { Logger } from "pino";
import { rpcError } from "../errors.ts";
import { JobQueueUnavailableError } from "../jobs/job-queue.ts";
import { LedgerUnavailableError } from "../ledger/ledger.ts";
import { contextFields } from "../telemetry/attributes.ts";
import type { RpcCall } from "./rpc-call.ts";

/** The fields of a failed call that log lines contain. */
type FailedCall = Pick<RpcCall, "method" | "callContext" | "jobId">;

/**
 * Converts a thrown value to the error that the caller's engineer sees. An error that is not meant for callers is
 * logged and becomes `internal`, without any detail.
 */
export function errorFrom(reason: unknown, call: FailedCall, log: Logger): ConnectError {
  const { method, callContext, jobId } = call;
  const about = { rpc: method.name, ...(callContext && contextFields(callContext, jobId)) };
  if (reason instanceof ConnectError) {
    if (reason.code === Code.Internal) log.error({ err: reason, ...about }, "an RPC failed");
    else if (reason.code === Code.Unavailable && reason.cause !== undefined)
      log.warn({ err: reason.cause, ...about }, "an RPC was refused");
    return bounded(reason);
  }
  if (reason instanceof LedgerUnavailableError || reason instanceof JobQueueUnavailableError) {
    log.warn({ err: reason, ...about }, "the store cannot be reached");
    return rpcError("store-unavailable");
  }
  log.error({ err: reason, ...about }, "an RPC failed");
  return rpcError("internal");
}

/**
 * Maximum length of an error message, in UTF-16 units. A message may quote the request, and gRPC sends it in a trailer,
 * with up to three characters per byte: a longer one would not fit into an HTTP/2 frame, and the stream would be reset.
 */
const maxMessage = 1024;

/** Truncates a text to the maximum length of an error message. */
export function shortMessage(text: string): string {
  return text.length <= maxMessage ? text : `${text.slice(0, maxMessage - 1).toWellFormed()}…`;
}

function bounded(error: ConnectError): ConnectError {
  if (error.rawMessage.length <= maxMessage) return error;
  const short = new ConnectError(shortMessage(error.rawMessage), error.code, error.metadata, undefined, error.cause);
  short.details = error.details;
  return short;
}

/**
 * Returns the error for a message that cannot be read. Connect reports some of these as `internal`, although the caller
 * caused them.
 */
export function inputErrorFrom(reason: unknown): ConnectError {
  if (!(reason instanceof ConnectError)) {
    return rpcError("malformed-message", reason instanceof Error ? reason.message.toWellFormed() : String(reason));
  }
  if (reason.code === Code.Internal) return new ConnectError(reason.rawMessage.toWellFormed(), Code.InvalidArgument);
  if (reason.code === Code.Aborted) return rpcError("canceled");
  return reason;
}
