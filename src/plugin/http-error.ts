import { ToolError } from "./tool-error.ts";

const kHttpError = Symbol.for("jackfield.HttpError");

/**
 * A request by `http` that got no usable answer. Its message may be read by the model: `External API returned STATUS: BODY`
 * for an answer, and why there is none otherwise.
 */
export class HttpError extends ToolError {
  readonly [kHttpError] = true;
  /** Status of the answer, such as 404; undefined where there was none. */
  readonly status: number | undefined;

  constructor(message: string, options: { status?: number | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = options.status;
  }
}

/** Tells an HttpError, also one of another copy of this package. */
export function isHttpError(reason: unknown): reason is HttpError {
  return typeof reason === "object" && reason !== null && kHttpError in reason;
}
