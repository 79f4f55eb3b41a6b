/**
 * Thrown when the store is unreachable or cannot write at present; the message gives the reason. Nothing has been
 * promised.
 */
export class StoreUnavailableError extends Error {
  override readonly name: string = "StoreUnavailableError";
  /** True if the request certainly never reached the store; otherwise it may have been stored. */
  readonly untouched: boolean;
  constructor(message: string, options: { untouched?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.untouched = options.untouched ?? false;
  }
}

/**
 * Thrown when this process must not use the store: it belongs to another process or to a newer version. A retry cannot
 * help.
 */
export class StoreRefusedError extends Error {
  override readonly name: string = "StoreRefusedError";
}
