/** Maximum delay of a timer in milliseconds. With a longer one, Node fires after 1 ms. */
export const maxTimerMs = 2 ** 31 - 1;

/**
 * Settles like `work`, or rejects with `late()` after `ms` milliseconds. The work itself continues: pass it a signal if
 * it can be aborted.
 */
export async function withTimeout<T>(work: Promise<T>, ms: number, late: () => Error): Promise<T> {
  const expired = Promise.withResolvers<never>();
  const timer = setTimeout(() => expired.reject(late()), Math.min(ms, maxTimerMs));
  try {
    return await Promise.race([work, expired.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits until `work` has settled, for at most `ms` milliseconds. Resolves with true if it settled in time. Never
 * rejects.
 */
export async function settledWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  const expired = Promise.withResolvers<false>();
  const timer = setTimeout(() => expired.resolve(false), Math.min(ms, maxTimerMs));
  const settled = work.then(
    () => true as const,
    () => true as const,
  );
  try {
    return await Promise.race([settled, expired.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs a piece of work in this turn of the event loop or in a later one. */
export type Pacer = (work: () => void) => void;

/**
 * Creates a pacer that runs `perTurn` pieces of work per turn of the event loop, the first ones at once and all in
 * order. Work that is due together, such as the deadlines of calls that started together, then does not delay other
 * events.
 */
export function createPacer(perTurn: number): Pacer {
  const waiting: (() => void)[] = [];
  let left = perTurn;
  const onTurn = (): void => {
    left = perTurn;
    const due = waiting.splice(0, perTurn);
    for (const work of due) pace(work);
  };
  const pace = (work: () => void): void => {
    if (left === 0) return void waiting.push(work);
    if (left === perTurn) setImmediate(onTurn);
    left -= 1;
    work();
  };
  return pace;
}

/** Settles like `work`, or rejects with the signal's reason as soon as it fires. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw signal.reason;
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
