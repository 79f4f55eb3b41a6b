import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { agedSpans, currentBoot, startClock } from "./boot-clock.ts";
import type { Boot, TimeSpan } from "./boot-clock.ts";
import { createClock } from "./clock.ts";
import type { Clock } from "./clock.ts";
import type { FromWorker, Step, StepResult, ToWorker } from "./sqlite-protocol.ts";
import { dateRestored, saveClock } from "./sqlite-schema.ts";
import { StoreRefusedError, StoreUnavailableError } from "./store-errors.ts";

/** The embedded store: one SQLite file, owned by one process and written by its own thread. */
export interface SqliteStore {
  /**
   * Runs the steps atomically; they are durable when the promise resolves. Concurrent requests share one commit, and a
   * failing request does not affect the others. Rejects with a StoreUnavailableError if the file is unusable.
   */
  run(steps: readonly Step[]): Promise<StepResult[]>;
  /**
   * The store's time. Changes of the machine's clock do not affect it, and it never goes back, even across restarts.
   */
  readonly now: Clock;
  /** The spans of that time in which an entry must have ended to be at least `ms` milliseconds old. */
  aged(ms: number): TimeSpan[];
  /** The reason why the store is unusable, for the operator; undefined while it works. */
  problem(): string | undefined;
  /** Rejects with a StoreUnavailableError if the store cannot be written at present. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

interface PendingRequest {
  steps: ToWorker["requests"][number];
  resolve(results: StepResult[]): void;
  reject(cause: Error): void;
}

/** Maximum number of batches at the worker: while it commits one, the next is already queued. */
const batchesAhead = 2;
/** Interval at which the clock state is persisted, in milliseconds. */
const keepClockMs = 60_000;
/** Pause before a thread that died is restarted, in milliseconds. */
const restartMs = 500;
/** Maximum number of requests in one transaction. */
const batchSize = 512;

/**
 * Opens the embedded store in a folder. Rejects with a StoreRefusedError if another process uses it or a newer version
 * has written it. With any other problem (read-only, full, damaged) it resolves: requests then reject with a
 * StoreUnavailableError, and the store opens as soon as the cause is gone.
 */
export async function openSqliteStore(options: {
  folder: string;
  wall?: Clock;
  boot?: Boot;
  /** Called once with each problem, and with `undefined` when it is over. */
  onProblem?: (problem: string | undefined) => void;
  /** Called with each finding for the operator when the file is opened. */
  onNotice?: (notice: string) => void;
}): Promise<SqliteStore> {
  const { folder, wall = Date.now, boot = currentBoot(), onProblem, onNotice } = options;
  const here = import.meta.url;
  const numbers = new Map<string, number>();
  let fresh: ToWorker["statements"] = [];
  let waiting: PendingRequest[] = [];
  const ahead: PendingRequest[][] = [];
  let flushing = false;
  let problem: string | undefined = "the store is opening";
  let clock: Clock | undefined;
  let gap = { gapMs: 0, gapAt: 0 };
  let clockTimer: NodeJS.Timeout | undefined;
  const unopened = createClock({ wall });
  let closing: Promise<void> | undefined;
  let restart: NodeJS.Timeout | undefined;
  const first = Promise.withResolvers<void>();
  let worker = start();

  function start(): Worker {
    // Without the process's flags: threads reject some of them, such as --input-type.
    const settings = { workerData: { folder }, name: "sqlite", execArgv: [] };
    const thread = new Worker(new URL(`./sqlite-worker${extname(here)}`, here), settings);
    thread.on("message", (answer: FromWorker) => receive(answer));
    thread.on("error", (cause) => crashed(thread, cause));
    return thread;
  }

  function receive(answer: FromWorker): void {
    if (answer.kind === "open") {
      if (clock === undefined) startAt(answer);
      for (const notice of answer.notices) onNotice?.(notice);
      report(undefined);
      first.resolve();
    } else if (answer.kind === "problem") {
      report(answer.message);
      if (answer.refused) first.reject(new StoreRefusedError(answer.message));
      else first.resolve();
    } else {
      const batch = ahead.shift() ?? [];
      for (const [index, request] of batch.entries()) {
        if (answer.kind === "failed") {
          request.reject(new StoreUnavailableError(answer.message, { untouched: answer.untouched }));
          continue;
        }
        const reply = answer.replies[index];
        if (Array.isArray(reply)) request.resolve(reply);
        else request.reject(new Error(`the store refused a statement: ${reply ?? "no reply"}`));
      }
      if (waiting.length > 0) flush();
    }
  }

  function startAt({ newest, clock: record }: Extract<FromWorker, { kind: "open" }>): void {
    const { start, gapMs, gapAt } = startClock({ record, newest, wall: wall(), boot });
    clock = createClock({ wall: () => start });
    gap = { gapMs, gapAt };
    void keepClock();
  }

  async function keepClock(): Promise<void> {
    clearTimeout(clockTimer);
    clockTimer = setTimeout(() => void keepClock(), keepClockMs).unref();
    const now = store.now();
    const params = [boot.id, boot.uptimeMs(), now, gap.gapMs, gap.gapAt];
    try {
      await run([{ sql: saveClock, params }, ...dateRestored.map((sql) => ({ sql, params: [now] }))]);
    } catch {
      // The store is unavailable. The next interval tries again.
    }
  }

  function report(next: string | undefined): void {
    if (next === problem) return;
    problem = next;
    onProblem?.(next);
  }

  /** Handles the death of the thread, for example from lack of memory: no request that it had is known to be stored. */
  function crashed(thread: Worker, cause: unknown): void {
    if (thread !== worker || closing !== undefined) return;
    report(`the store's thread died: ${cause instanceof Error ? cause.message : String(cause)}`);
    for (const request of [...ahead.splice(0).flat(), ...waiting.splice(0)])
      request.reject(new StoreUnavailableError(problem ?? ""));
    fresh = [...numbers].map(([sql, id]) => [id, sql]);
    first.resolve();
    restart = setTimeout(() => {
      restart = undefined;
      worker = start();
    }, restartMs);
  }

  function flush(): void {
    if (restart !== undefined) {
      for (const request of waiting.splice(0))
        request.reject(new StoreUnavailableError(problem ?? "", { untouched: true }));
    }
    while (waiting.length > 0 && ahead.length < batchesAhead) {
      const batch = waiting.length <= batchSize ? waiting : waiting.slice(0, batchSize);
      waiting = waiting.length <= batchSize ? [] : waiting.slice(batchSize);
      ahead.push(batch);
      worker.postMessage({ statements: fresh, requests: batch.map(({ steps }) => steps) } satisfies ToWorker, []);
      fresh = [];
    }
  }

  function numberOf(sql: string): number {
    let id = numbers.get(sql);
    if (id === undefined) {
      id = numbers.size;
      numbers.set(sql, id);
      fresh.push([id, sql]);
    }
    return id;
  }

  function run(steps: readonly Step[]): Promise<StepResult[]> {
    if (closing !== undefined)
      return Promise.reject(new StoreUnavailableError("the store is closed", { untouched: true }));
    return new Promise((resolve, reject) => {
      waiting.push({
        steps: steps.map(({ sql, params = [], stop = false }) => [numberOf(sql), params, stop]),
        resolve,
        reject,
      });
      if (flushing) return;
      flushing = true;
      // Waits for the end of this turn of the event loop, so that requests that arrived together are committed
      // together.
      setImmediate(() => {
        flushing = false;
        flush();
      });
    });
  }

  async function close(): Promise<void> {
    void keepClock();
    clearTimeout(clockTimer);
    while (waiting.length > 0 || ahead.length > 0) {
      flush();
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (restart !== undefined) {
      clearTimeout(restart);
      return;
    }
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    worker.postMessage({ statements: [], requests: [], close: true } satisfies ToWorker, []);
    await ended;
  }

  const store: SqliteStore = {
    run,
    now: () => (clock ?? unopened)(),
    aged: (ms) => agedSpans(store.now(), ms, gap),
    problem: () => problem,
    ping: async () => {
      await run([
        {
          sql: "INSERT INTO probe (id, at) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at",
          params: [store.now()],
        },
      ]);
    },
    close: () => (closing ??= close()),
  };
  try {
    await first.promise;
  } catch (cause) {
    await store.close();
    throw cause;
  }
  return store;
}
