import { Code, ConnectError } from "@connectrpc/connect";
import type { Logger } from "pino";
import { rpcError } from "../errors.ts";
import { JobQueueUnavailableError } from "../jobs/job-queue.ts";
import { LedgerUnavailableError } from "../ledger/ledger.ts";

/**
 * The error that the caller's engineer sees for whatever was thrown. What is not meant for callers becomes `internal`
 * with a line in the log, and nothing of it leaks.
 */
export function errorFrom(reason: unknown, method: string, log: Logger): ConnectError {
  if (reason instanceof ConnectError) {
    if (reason.code === Code.Internal) log.error({ err: reason, rpc: method }, "an RPC failed");
    else if (reason.code === Code.Unavailable && reason.cause !== undefined)
      log.warn({ err: reason.cause, rpc: method }, "an RPC was refused");
    return reason;
  }
  if (reason instanceof LedgerUnavailableError || reason instanceof JobQueueUnavailableError) {
    log.warn({ err: reason, rpc: method }, "the store cannot be reached");
    return rpcError("store-unavailable");
  }
  log.error({ err: reason, rpc: method }, "an RPC failed");
  return rpcError("internal");
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
