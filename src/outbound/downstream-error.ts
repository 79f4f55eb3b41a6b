import { ToolError } from "../plugin/tool-error.ts";

/**
 * Why a downstream gave no usable answer: it answered with a `status` other than 2xx, the `network` failed, its breaker is
 * `open`, the address is `refused`, or the `content` cannot be used.
 */
export type DownstreamFault = "status" | "network" | "open" | "refused" | "content";

/** A failed request to a downstream, in words that the model may read. */
export class DownstreamError extends ToolError {
  readonly fault: DownstreamFault;
  /** HTTP status, where there was an answer. */
  readonly status: number | undefined;
  /** Value of `Retry-After`, where there was one. */
  readonly retryAfter: string | undefined;
  /** False where it is certain that no byte of the request went out. */
  readonly sent: boolean;

  constructor(
    fault: DownstreamFault,
    message: string,
    detail: { status?: number; retryAfter?: string | undefined; sent?: boolean; cause?: unknown } = {},
  ) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.fault = fault;
    this.status = detail.status;
    this.retryAfter = detail.retryAfter;
    this.sent = detail.sent ?? true;
  }
}

/** The network failed before or after the request went out. */
export function networkError(cause: unknown, sent: boolean): DownstreamError {
  return new DownstreamError("network", "External API could not be reached.", { cause, sent });
}

/** The answer, or what it decodes to, is longer than the limit in bytes. */
export function tooLargeError(limit: number): DownstreamError {
  return new DownstreamError("content", `External API answered more than ${limit} bytes.`);
}
