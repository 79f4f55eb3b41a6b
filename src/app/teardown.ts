/** What has been opened and must be closed, the last one first. */
export interface Teardown extends AsyncDisposable {
  add(close: () => unknown): void;
  /** Hands everything over: what was `await using` this closes nothing any more. */
  move(): AsyncDisposableStack;
}

/** Creates a teardown: `await using` it closes everything where a start fails half way. */
export function createTeardown(): Teardown {
  const stack = new AsyncDisposableStack();
  return {
    add: (close) => stack.defer(async () => void (await close())),
    move: () => stack.move(),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
