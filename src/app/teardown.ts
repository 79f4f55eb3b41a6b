/** A stack of open resources, closed in reverse order. */
export interface Teardown extends AsyncDisposable {
  add(close: () => unknown): void;
  /** Transfers ownership of all resources: disposing this teardown then closes nothing. */
  move(): AsyncDisposableStack;
}

/** Creates a teardown. `await using` closes everything if a start fails halfway. */
export function createTeardown(): Teardown {
  const stack = new AsyncDisposableStack();
  return {
    add: (close) => stack.defer(async () => void (await close())),
    move: () => stack.move(),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
