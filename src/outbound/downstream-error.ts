import { HttpError } from "../plugin/http-error.ts";

/**
 * The reason why a downstream gave no usable answer: a `status` other than 2xx, a `network` failure, an `open` circuit
 * breaker, a `refused` address, unusable `content`, or a request that would have been sent too `late`.
 */
export type DownstreamProblem = "status" | "network" | "open" | "refused" | "content" | "late";

/** A failed request to a downstream, with a message that is safe to show to the model. */
export class DownstreamError extends HttpError {
  readonly problem: DownstreamProblem;
  /** Value of `Retry-After`, if any. */
  readonly retryAfter: string | undefined;
  /** False if certainly no byte of the request was sent. */
  readonly sent: boolean;

  constructor(
    problem: DownstreamProblem,
    message: string,
    detail: { status?: number; retryAfter?: string | undefined; sent?: boolean; cause?: unknown } = {},
  ) {
    super(message, detail);
    this.problem = problem;
    this.retryAfter = detail.retryAfter;
    this.sent = detail.sent ?? true;
  }
}

/** The network failed, before or after the request was sent. */
export function networkError(cause: unknown, sent: boolean): DownstreamError {
  return new DownstreamError("network", "External API could not be reached.", { cause, sent });
}

/** The run that the request belongs to may not send anything any more. */
export function lateError(): DownstreamError {
  return new DownstreamError("late", "The request was not sent: its time is over.", { sent: false });
}

/** The answer, possibly after decoding, exceeds the limit in bytes. */
export function tooLargeError(limit: number): DownstreamError {
  return new DownstreamError("content", `External API answered more than ${limit} bytes.`);
}
