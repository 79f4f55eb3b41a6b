/**
 * Merges several async sources: iterates at most `width` of them concurrently and yields their values as they arrive.
 * Ends when all sources have ended, or throws the first error. The caller must stop the remaining sources.
 */
export async function* merge<T>(sources: readonly (() => AsyncIterable<T>)[], width: number): AsyncGenerator<T> {
  const ready: T[] = [];
  let wake = Promise.withResolvers<void>();
  const waiting = sources.values();

  async function draw(): Promise<void> {
    for (const source of waiting) {
      for await (const item of source()) {
        ready.push(item);
        wake.resolve();
      }
    }
  }

  let ended = false;
  let problem: { reason: unknown } | undefined;
  Promise.all(Array.from({ length: Math.min(width, sources.length) }, draw))
    .catch((reason: unknown) => (problem = { reason }))
    .finally(() => {
      ended = true;
      wake.resolve();
    });

  for (;;) {
    while (ready.length > 0) yield ready.shift()!;
    if (problem) throw problem.reason;
    if (ended) return;
    await wake.promise;
    wake = Promise.withResolvers<void>();
  }
}
