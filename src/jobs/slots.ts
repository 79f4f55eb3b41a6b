import type { JobWorker } from "./job-queue.ts";

/** A bounded number of tasks side by side, until it is stopped. */
export interface Slots extends JobWorker {
  /** How many more tasks may start now; 0 once stopped. */
  free(): number;
  /** Starts a task, which must not reject. `onEnd` runs afterwards, with the slot free again. */
  start(task: (signal: AbortSignal) => Promise<void>, onEnd: () => void): void;
  /** True from the moment that `stop` is called. */
  readonly stopped: boolean;
  /** Fires when running tasks have to end. */
  readonly signal: AbortSignal;
}

/** Creates slots for `size` tasks. */
export function createSlots(size: number, onStop: () => void): Slots {
  const abort = new AbortController();
  const running = new Set<Promise<void>>();
  let stopped = false;
  return {
    free: () => (stopped ? 0 : size - running.size),
    get stopped() {
      return stopped;
    },
    signal: abort.signal,
    start(task, onEnd) {
      const ended = Promise.withResolvers<void>();
      running.add(ended.promise);
      void (async () => {
        await task(abort.signal);
        running.delete(ended.promise);
        ended.resolve();
        onEnd();
      })();
    },
    async stop(signal) {
      stopped = true;
      onStop();
      if (running.size === 0) return;
      const expired = Promise.withResolvers<void>();
      const onAbort = (): void => {
        abort.abort(new Error("the service is shutting down"));
        expired.resolve();
      };
      if (signal?.aborted) onAbort();
      signal?.addEventListener("abort", onAbort, { once: true });
      await Promise.race([Promise.all(running), expired.promise]);
      signal?.removeEventListener("abort", onAbort);
    },
  };
}
