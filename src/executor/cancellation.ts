import { ConnectError } from "@connectrpc/connect";
import { rpcError } from "../errors.ts";

/**
 * Signals that the caller of a request no longer waits: it has disconnected, or its own deadline has passed. Replaces
 * an AbortSignal, which costs more to create than a call costs to run.
 */
export interface CancellationToken {
  /** The reason for the cancellation; undefined while the caller waits. */
  readonly cancelled: ConnectError | undefined;
  /**
   * Calls `listener` once when the request is cancelled, or immediately if it already has been. Returns a function that
   * removes the listener.
   */
  subscribe(listener: (reason: ConnectError) => void): () => void;
}

/**
 * Creates a token that is cancelled when `signal` fires, with the signal's reason if that is a ConnectError, otherwise
 * with `canceled`.
 */
export function cancellationFromSignal(signal: AbortSignal): CancellationToken {
  const reason = (): ConnectError =>
    signal.reason instanceof ConnectError ? signal.reason : rpcError("canceled", "", signal.reason);
  return {
    get cancelled() {
      return signal.aborted ? reason() : undefined;
    },
    subscribe(listener) {
      const onAbort = (): void => listener(reason());
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
      return () => signal.removeEventListener("abort", onAbort);
    },
  };
}
