import { ConnectError } from "@connectrpc/connect";
import { rpcError } from "../errors.ts";

/**
 * Reports that the caller of a request no longer waits for it: it has disconnected, or its own deadline has passed. In
 * place of an AbortSignal, which costs more to create than a call costs to run.
 */
export interface CancellationToken {
  /** Why the request was cancelled; undefined while its caller waits. */
  readonly cancelled: ConnectError | undefined;
  /** Calls `listener` once when the request is cancelled, at once where it has been. Returns what unsubscribes it. */
  subscribe(listener: (reason: ConnectError) => void): () => void;
}

/** The token that is cancelled when `signal` fires: by its reason where that is a ConnectError, else by `canceled`. */
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
