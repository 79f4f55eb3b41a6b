import type { Dispatcher } from "undici";
import { lateError, networkError, tooLargeError } from "./downstream-error.ts";

/** What goes on the wire. */
export interface WireRequest {
  readonly origin: string;
  /** Path with query. */
  readonly path: string;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array | undefined;
}

/** What came back, its body still in its content encoding. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
  /** Set where the body was longer than the limit and was cut there: only for statuses other than 2xx. */
  readonly cut: boolean;
}

/** Asked when a request is about to be written: true lets it leave. */
export type LeaveCheck = () => boolean;

/**
 * Sends one request and reads the answer whole. Rejects with the reason of the signal as soon as it fires; otherwise with a
 * DownstreamError that knows whether anything was sent, or what a misuse of undici throws. At most `limit` bytes are kept.
 * A request that `mayLeave` stops is not written.
 *
 * Written on `dispatch` because only its `onRequestStart` tells when a request begins to leave.
 */
export function exchange(
  dispatcher: Dispatcher,
  request: WireRequest,
  limit: number,
  signal: AbortSignal,
  mayLeave: LeaveCheck,
): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | undefined;
    let ended = false;
    let status = 0;
    let headers: Record<string, string> = {};
    const chunks: Buffer[] = [];
    let size = 0;

    const end = (): boolean => {
      if (ended) return false;
      ended = true;
      signal.removeEventListener("abort", abort);
      return true;
    };
    const abort = (): void => {
      if (!end()) return;
      controller?.abort(new Error("aborted"));
      reject(signal.reason);
    };
    const finish = (cut: boolean): void => {
      if (end()) resolve({ status, headers, body: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks), cut });
    };

    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });

    const options: Dispatcher.DispatchOptions = {
      origin: request.origin,
      path: request.path,
      method: request.method,
      headers: request.headers,
      body: request.body ?? null,
    };
    dispatcher.dispatch(options, {
      onRequestStart(started) {
        // Given up while it waited for a connection.
        if (ended) return started.abort(new Error("aborted"));
        if (!mayLeave()) {
          if (end()) reject(lateError());
          return started.abort(new Error("late"));
        }
        controller = started;
      },
      onResponseStart(_controller, statusCode, received) {
        // 1xx come before the answer.
        if (statusCode < 200) return;
        status = statusCode;
        headers = joined(received);
      },
      onResponseData(active, chunk) {
        if (ended) return;
        chunks.push(chunk.subarray(0, limit - size));
        size += chunk.length;
        if (size <= limit) return;
        if (status >= 200 && status < 300) {
          if (end()) reject(tooLargeError(limit));
        } else {
          finish(true);
        }
        active.abort(new Error("answer too large"));
      },
      onResponseEnd() {
        finish(false);
      },
      onResponseError(_controller, error) {
        if (end()) reject(isMisuse(error) ? error : asDownstreamError(error, controller !== undefined));
      },
    });
  });
}

function asDownstreamError(error: Error, sent: boolean): Error {
  // The guard's refusal comes up through the connector as it is.
  return "fault" in error ? error : networkError(error, sent);
}

function isMisuse(error: Error): boolean {
  return "code" in error && (error.code === "UND_ERR_INVALID_ARG" || error.code === "UND_ERR_NOT_SUPPORTED");
}

function joined(received: Record<string, string | string[] | undefined>): Record<string, string> {
  const headers: Record<string, string> = Object.create(null);
  for (const name in received) {
    const value = received[name];
    if (value !== undefined) headers[name] = typeof value === "string" ? value : value.join(", ");
  }
  return headers;
}
