/**
 * An error of an HTTP request: a status, and a message that is safe to show to the caller. Adapters see it as
 * `{ statusCode, message }`.
 */
export class HttpError extends Error {
  readonly statusCode: number;

  constructor(statusCode: number, message: string) {
    super(message);
    this.name = "HttpError";
    this.statusCode = statusCode;
  }
}

/** The message for a content type that a route does not accept. */
export const notJson = "Content-Type must be application/json";
