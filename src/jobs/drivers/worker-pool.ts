import type { JobWorker } from "../job-queue.ts";

/** A crew: what runs side by side, at most so many at once, until it is stopped. */
export interface WorkerPool extends JobWorker {
  /** How many more may be started now; 0 once stopped. */
  free(): number;
  /** Runs one piece of work; `run` must not reject. `done` is called afterwards, with its place free again. */
  start(run: (signal: AbortSignal) => Promise<void>, done: () => void): void;
  readonly stopped: boolean;
}

/** Creates a crew of a size. */
export function createWorkerPool(size: number, onStop: () => void): WorkerPool {
  const abort = new AbortController();
  const running = new Set<Promise<void>>();
  let stopped = false;
  return {
    free: () => (stopped ? 0 : size - running.size),
    get stopped() {
      return stopped;
    },
    start(run, done) {
      const ended = Promise.withResolvers<void>();
      running.add(ended.promise);
      void (async () => {
        await run(abort.signal);
        running.delete(ended.promise);
        ended.resolve();
        done();
      })();
    },
    async stop(signal) {
      stopped = true;
      onStop();
      if (running.size === 0) return;
      const out = Promise.withResolvers<void>();
      const leave = (): void => {
        abort.abort(new Error("the service is shutting down"));
        out.resolve();
      };
      if (signal?.aborted) leave();
      signal?.addEventListener("abort", leave, { once: true });
      await Promise.race([Promise.all(running), out.promise]);
      signal?.removeEventListener("abort", leave);
    },
  };
}
