/** Why a token could not be had. */
export interface TokenFailure {
  /** Status of the token endpoint, where it answered. */
  readonly status: number | undefined;
  /** What it said, at most 200 characters, redacted; or what went wrong in our words. */
  readonly body: string;
  /** Value of `Retry-After`, where there was one. */
  readonly retryAfter: string | undefined;
}

/** Puts a failure into the words of one platform contract. */
export type DescribeTokenFailure = (failure: TokenFailure, scopes: string) => string;

/** A token could not be had. The message is fit for jobs and logs. */
export class TokenError extends Error {
  override readonly name = "TokenError";
  /** Status of the token endpoint, where it answered. */
  readonly status: number | undefined;
  /** Value of `Retry-After`, where there was one. */
  readonly retryAfter: string | undefined;

  constructor(message: string, failure: TokenFailure, cause: unknown) {
    super(message, { cause });
    this.status = failure.status;
    this.retryAfter = failure.retryAfter;
  }
}

/** The words of requirements 000 and 002: `OAuth token fetch failed with STATUS: BODY`. */
export function describeTokenFetch({ status, body }: TokenFailure): string {
  return status === undefined ? `Token retrieval failed: ${body}` : `OAuth token fetch failed with ${status}: ${body}`;
}

/** The words of requirements 001, which say for 401 and 403 what to look at. */
export function describeTokenRetrieval({ status, body }: TokenFailure, scopes: string): string {
  if (status === 401) return "OAuth authentication failed. Verify client_id and client_secret.";
  if (status === 403) return `OAuth scope mismatch. Ensure the application has ${scopes}.`;
  return `Token retrieval failed: ${status === undefined ? "" : `${status} `}${body}`.trimEnd();
}
