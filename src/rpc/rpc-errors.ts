import { Code, ConnectError } from "@connectrpc/connect";
import type { Logger } from "pino";
import { rpcError } from "../errors.ts";
import { JobQueueUnavailableError } from "../jobs/job-queue.ts";
import { LedgerUnavailableError } from "../ledger/ledger.ts";
import { contextFields } from "../telemetry/attributes.ts";
import type { RpcCall } from "./rpc-call.ts";

/** The call that failed, as log lines name it. */
type FailedCall = Pick<RpcCall, "method" | "callContext" | "jobId">;

/**
 * The error that the caller's engineer sees for whatever was thrown. What is not meant for callers becomes `internal`
 * with a line in the log, and nothing of it leaks.
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
 * Longest message of an error, in code units. It may quote what the caller sent, and gRPC carries it in a trailer, each
 * byte as three characters: a longer one would not fit into a frame of HTTP/2, and its stream would be reset.
 */
const maxMessage = 1024;

/** The beginning of a text that is longer than the message of an error may be. */
export function shortMessage(text: string): string {
  return text.length <= maxMessage ? text : `${text.slice(0, maxMessage - 1).toWellFormed()}…`;
}

function bounded(error: ConnectError): ConnectError {
  if (error.rawMessage.length <= maxMessage) return error;
  const short = new ConnectError(shortMessage(error.rawMessage), error.code, error.metadata, undefined, error.cause);
  short.details = error.details;
  return short;
}

/** The error for a message that cannot be read. Connect calls some of these `internal`; they are the caller's mistakes. */
export function inputErrorFrom(reason: unknown): ConnectError {
  if (!(reason instanceof ConnectError)) {
    return rpcError("malformed-message", reason instanceof Error ? reason.message.toWellFormed() : String(reason));
  }
  if (reason.code === Code.Internal) return new ConnectError(reason.rawMessage.toWellFormed(), Code.InvalidArgument);
  if (reason.code === Code.Aborted) return rpcError("canceled");
  return reason;
}
