import { ToolError } from "./tool-error.ts";

const kHttpError = Symbol.for("jackfield.HttpError");

/**
 * Thrown by `http` when a request failed. The message is safe to show to the model: `External API returned STATUS: BODY`
 * when the downstream answered, otherwise the reason why it did not.
 */
export class HttpError extends ToolError {
  readonly [kHttpError] = true;
  /** HTTP status of the response, such as 404. Undefined when there was no response. */
  readonly status: number | undefined;

  constructor(message: string, options: { status?: number | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = options.status;
  }
}

/**
 * Reports whether a value is an HttpError. Unlike `instanceof`, it also recognises errors of another copy of this
 * package.
 */
export function isHttpError(reason: unknown): reason is HttpError {
  return typeof reason === "object" && reason !== null && kHttpError in reason;
}
