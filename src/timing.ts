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

/**
 * Runs work with a signal that fires together with `signal`, or with a TimeoutError after `ms` milliseconds. Unlike
 * `AbortSignal.any` with `AbortSignal.timeout`, nothing of it remains once the work has settled.
 */
export async function withDeadline<T>(
  signal: AbortSignal,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal.reason);
  const onDeadline = (): void => controller.abort(new DOMException("The deadline has passed.", "TimeoutError"));
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(onDeadline, Math.min(ms, maxTimerMs));
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

/** Runs a piece of work in this turn of the event loop or in a later one. */
export type Pacer = (work: () => void) => void;

/**
 * Creates a pacer, which runs pieces of work in order: the first one at once, the next ones when the microtasks of the
 * one before have run. After `msPerTurn` milliseconds they wait for the next turn of the event loop. Work that is due
 * together, such as the deadlines of calls that started together, then does not delay other events.
 */
export function createPacer(msPerTurn: number, now: () => number = () => performance.now()): Pacer {
  const waiting: (() => void)[] = [];
  // Until when this turn starts another piece; undefined in a turn that has had none.
  let until: number | undefined;
  let isRunning = false;
  const onTurn = (): void => {
    until = undefined;
    if (!isRunning && waiting.length > 0) runNext();
  };
  const runNext = (): void => {
    isRunning = false;
    if (until === undefined) {
      until = now() + msPerTurn;
      setImmediate(onTurn);
    } else if (now() >= until) {
      return;
    }
    const work = waiting.shift();
    if (work === undefined) return;
    isRunning = true;
    // Ticks that are due run before microtasks; one that a microtask adds runs after all of them.
    queueMicrotask(() => process.nextTick(runNext));
    work();
  };
  return (work) => {
    waiting.push(work);
    if (!isRunning) runNext();
  };
}

/** Work on many items, which gives other requests a turn of the event loop whenever its own has taken too long. */
export interface Turn {
  /** True if the turn has lasted longer than it should. */
  readonly isOver: boolean;
  /** Waits for the next turn, which is one and the same for all that wait. */
  next(): Promise<void>;
}

/** Begins a turn of `ms` milliseconds. */
export function createTurn(ms: number): Turn {
  let end = performance.now() + ms;
  let next: Promise<void> | undefined;
  return {
    get isOver() {
      return performance.now() > end;
    },
    next: () =>
      (next ??= new Promise((resolve) =>
        setImmediate(() => {
          next = undefined;
          end = performance.now() + ms;
          resolve();
        }),
      )),
  };
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
