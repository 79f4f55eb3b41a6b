import type { CancellationToken } from "../executor/cancellation.ts";

/**
 * Yields the items of an iterable until the call is cancelled; then throws the reason, whether or not the source
 * reacts. Subscribes once for the whole stream: racing each item against one promise would retain every item until the
 * end.
 */
export async function* untilCancelled<T>(
  source: AsyncIterable<T>,
  token: CancellationToken,
): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  let reject: ((reason: unknown) => void) | undefined;
  const unsubscribe = token.subscribe((reason) => reject?.(reason));
  let finished = false;
  try {
    for (;;) {
      if (token.cancelled !== undefined) throw token.cancelled;
      const next = await new Promise<IteratorResult<T>>((resolve, rejectNext) => {
        reject = rejectNext;
        iterator.next().then(resolve, rejectNext);
      });
      if (next.done === true) {
        finished = true;
        return;
      }
      yield next.value;
    }
  } finally {
    unsubscribe();
    // Not awaited: a source that ignores the cancellation would delay the end of the stream.
    if (!finished) iterator.return?.()?.catch(() => {});
  }
}
