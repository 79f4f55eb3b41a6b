/** Longest time in milliseconds that a timer holds; above it, Node fires after 1 ms. */
export const longestTimerMs = 2 ** 31 - 1;

/** Waits for a time in milliseconds. Rejects with the reason of the signal as soon as it fires. */
export function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(
      () => {
        signal.removeEventListener("abort", abort);
        resolve();
      },
      Number.isFinite(ms) ? Math.min(Math.max(ms, 0), longestTimerMs) : longestTimerMs,
    );
    signal.addEventListener("abort", abort, { once: true });
  });
}
