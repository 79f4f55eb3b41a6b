/** The reason why no token is available. */
export interface TokenFailure {
  /** Status of the token endpoint, if it answered. */
  readonly status: number | undefined;
  /** The answer, redacted, at most 200 characters; or our own description of the failure. */
  readonly body: string;
  /** Value of `Retry-After`, if any. */
  readonly retryAfter: string | undefined;
}

/** Builds the message of a failure as a platform's contract requires it. */
export type DescribeTokenFailure = (failure: TokenFailure, scopes: string) => string;

/** Thrown when no token is available. The message is safe for jobs and logs. */
export class TokenError extends Error {
  override readonly name = "TokenError";
  /** Status of the token endpoint, if it answered. */
  readonly status: number | undefined;
  /** Value of `Retry-After`, if any. */
  readonly retryAfter: string | undefined;

  constructor(message: string, failure: TokenFailure, cause: unknown) {
    super(message, { cause });
    this.status = failure.status;
    this.retryAfter = failure.retryAfter;
  }
}

/** Builds the message of requirements 000 and 002: `OAuth token fetch failed with STATUS: BODY`. */
export function describeTokenFetch({ status, body }: TokenFailure): string {
  return status === undefined ? `Token retrieval failed: ${body}` : `OAuth token fetch failed with ${status}: ${body}`;
}

/** Builds the message of requirements 001, which gives a hint for 401 and 403. */
export function describeTokenRetrieval({ status, body }: TokenFailure, scopes: string): string {
  if (status === 401) return "OAuth authentication failed. Verify client_id and client_secret.";
  if (status === 403) return `OAuth scope mismatch. Ensure the application has ${scopes}.`;
  return `Token retrieval failed: ${status === undefined ? "" : `${status} `}${body}`.trimEnd();
}
