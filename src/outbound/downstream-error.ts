import { HttpError } from "../plugin/http-error.ts";

/**
 * Why a downstream gave no usable answer: it answered with a `status` other than 2xx, the `network` failed, its breaker is
 * `open`, the address is `refused`, the `content` cannot be used, or the request would have left too `late`.
 */
export type DownstreamProblem = "status" | "network" | "open" | "refused" | "content" | "late";

/** A failed request to a downstream, in words that the model may read. */
export class DownstreamError extends HttpError {
  readonly problem: DownstreamProblem;
  /** Value of `Retry-After`, where there was one. */
  readonly retryAfter: string | undefined;
  /** False where it is certain that no byte of the request went out. */
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

/** The network failed before or after the request went out. */
export function networkError(cause: unknown, sent: boolean): DownstreamError {
  return new DownstreamError("network", "External API could not be reached.", { cause, sent });
}

/** The run that the request belongs to may send nothing any more. */
export function lateError(): DownstreamError {
  return new DownstreamError("late", "The request was not sent: its time is over.", { sent: false });
}

/** The answer, or what it decodes to, is longer than the limit in bytes. */
export function tooLargeError(limit: number): DownstreamError {
  return new DownstreamError("content", `External API answered more than ${limit} bytes.`);
}
