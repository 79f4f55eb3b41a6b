/** The store cannot be reached or cannot write at present; its message says why. Nothing has been promised. */
export class StoreUnavailableError extends Error {
  override readonly name: string = "StoreUnavailableError";
  /** True where it is certain that the request never reached the store; else it may have been stored all the same. */
  readonly untouched: boolean;
  constructor(message: string, options: { untouched?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.untouched = options.untouched ?? false;
  }
}

/** The store may not be used by this process: it belongs to another one, or to a newer version. Trying again is no use. */
export class StoreRefusedError extends Error {
  override readonly name: string = "StoreRefusedError";
}
