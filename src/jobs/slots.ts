import { LinkedList } from "../linked-list.ts";
import type { JobWorker } from "./job-queue.ts";

/** Runs a bounded number of concurrent tasks until it is stopped. */
export interface Slots extends JobWorker {
  /** Number of further tasks that may start now; 0 once stopped. */
  free(): number;
  /** Starts a task, which must not reject. `onEnd` is called afterwards, when the slot is free again. */
  start(task: (signal: AbortSignal) => Promise<void>, onEnd: () => void): void;
  /** True as soon as `stop` has been called. */
  readonly stopped: boolean;
  /** Fires when running tasks must end. */
  readonly signal: AbortSignal;
}

/**
 * Creates slots for `size` tasks. `onStop` is called when they are stopped, and resolves when nothing is about to start.
 */
export function createSlots(size: number, onStop: () => Promise<void>): Slots {
  const abort = new AbortController();
  const running = new LinkedList<Promise<void>>();
  let stopped = false;
  return {
    free: () => (stopped ? 0 : size - running.size),
    get stopped() {
      return stopped;
    },
    signal: abort.signal,
    start(task, onEnd) {
      const ended = Promise.withResolvers<void>();
      const item = running.add(ended.promise);
      void (async () => {
        await task(abort.signal);
        running.remove(item);
        ended.resolve();
        onEnd();
      })();
    },
    async stop(signal) {
      stopped = true;
      const starting = onStop();
      const expired = Promise.withResolvers<void>();
      const onAbort = (): void => {
        abort.abort(new Error("the service is shutting down"));
        expired.resolve();
      };
      if (signal?.aborted) onAbort();
      signal?.addEventListener("abort", onAbort, { once: true });
      await Promise.race([Promise.all([starting, ...running.items().map(({ value }) => value)]), expired.promise]);
      signal?.removeEventListener("abort", onAbort);
    },
  };
}
