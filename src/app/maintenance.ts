import type { RunningExecutor } from "../executor/executor.ts";
import type { JobQueue, QueueStatus } from "../jobs/job-queue.ts";
import { metricNames } from "../telemetry/attributes.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Stores } from "./open-stores.ts";

/** Dependencies and intervals of the maintenance. Durations are in milliseconds. */
export interface MaintenanceParts {
  readonly executor: RunningExecutor;
  readonly stores: Pick<Stores, "ledger" | "queue" | "checkKeys">;
  readonly telemetry: Pick<Telemetry, "log" | "metrics">;
  /** Retention of ended calls and jobs. */
  readonly windowMs: number;
  /** Retention of UNCERTAIN calls. */
  readonly uncertainMs: number;
  /** Retention of dead jobs. */
  readonly deadJobsMs: number;
  /** Interval between recoveries of abandoned calls; 2 s by default. */
  readonly recoverMs?: number;
  /** Interval between sweeps of expired records; 1 min by default. */
  readonly sweepMs?: number;
  /**
   * Delay before the first sweep, 5 s by default, so that a process that is killed every few seconds still deletes
   * records.
   */
  readonly firstSweepMs?: number;
}

/** Running maintenance. */
export interface Maintenance {
  stop(): Promise<void>;
}

/** Maximum time that a scrape of the metrics waits for the job counts. */
const countTimeoutMs = 1_000;
/** How long counts are reused. */
const countCacheMs = 1_000;
/** Older counts are not reported: a missing metric is better than a wrong one. */
const staleMs = 60_000;

/** Starts the maintenance: it recovers abandoned calls, deletes expired records, and counts jobs for the metrics. */
export function startMaintenance(parts: MaintenanceParts): Maintenance {
  const { executor, stores, telemetry, windowMs, uncertainMs, deadJobsMs } = parts;
  const { recoverMs = 2_000, sweepMs = 60_000, firstSweepMs = 5_000 } = parts;
  const { log, metrics } = telemetry;
  const { ledger, queue } = stores;
  const recovering = repeat(recoverMs, undefined, async () => void (await executor.recover()), log);
  const sweeping = repeat(
    sweepMs,
    firstSweepMs,
    async (isStopped) => {
      await Promise.all([
        ledger.erase({ olderThanMs: windowMs, uncertainOlderThanMs: uncertainMs }),
        eraseJobs(queue, { olderThanMs: windowMs, deadOlderThanMs: deadJobsMs }, isStopped),
        stores.checkKeys(),
      ]);
    },
    log,
  );
  const status = createStatusReader(queue);
  const gauge = (name: string, description: string, read: (counts: QueueStatus) => number): void =>
    metrics.gauge(name, description, async () => read(await status()));
  gauge(metricNames.queueDepth, "Open jobs", ({ open }) => open);
  gauge(metricNames.deadLetters, "Dead jobs, which an operator has to look at", ({ dead }) => dead);
  gauge(metricNames.oldestJobAge, "Age of the oldest open job", ({ oldestMs }) => oldestMs / 1_000);
  metrics.gauge(metricNames.running, "Running executions", () => executor.running);
  return {
    async stop() {
      await Promise.all([recovering(), sweeping()]);
    },
  };
}

/** Deletes in portions, so that other requests run in between. */
async function eraseJobs(
  queue: JobQueue,
  retention: { olderThanMs: number; deadOlderThanMs: number },
  isStopped: () => boolean,
): Promise<void> {
  while (!isStopped()) if ((await queue.erase(retention)) === 0) return;
}

/**
 * Creates a reader of the job counts, with a time limit and at most one request at a time. Returns the last counts for
 * up to a minute while the store is slow or unavailable; rejects after that.
 */
export function createStatusReader(
  queue: Pick<JobQueue, "status">,
  now: () => number = () => performance.now(),
): () => Promise<QueueStatus> {
  let last: { counts: QueueStatus; at: number } | undefined;
  let running: Promise<void> | undefined;
  const read = async (): Promise<void> => {
    try {
      last = { counts: await queue.status(), at: now() };
    } catch {
      // The store is unavailable: its own readiness check reports it.
    }
    running = undefined;
  };
  return async () => {
    if (last === undefined || now() - last.at > countCacheMs) {
      running ??= read();
      await withTimeLimit(running, countTimeoutMs);
    }
    if (last === undefined || now() - last.at > staleMs) throw new Error("the jobs could not be counted");
    return last.counts;
  };
}

async function withTimeLimit(work: Promise<void>, ms: number): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, ms);
  await Promise.race([work, late.promise]);
  clearTimeout(timer);
}

/**
 * Repeats work at an interval until stopped, starting at once or after an initial delay. A failure is logged once and
 * retried.
 */
function repeat(
  ms: number,
  firstMs: number | undefined,
  work: (isStopped: () => boolean) => Promise<void>,
  log: Telemetry["log"],
): () => Promise<void> {
  let stopped = false;
  let failing = false;
  let timer: NodeJS.Timeout | undefined;
  let current = Promise.resolve();
  const round = async (): Promise<void> => {
    try {
      await work(() => stopped);
      failing = false;
    } catch (cause) {
      if (!failing) log.warn({ err: cause }, "maintenance is postponed: the store cannot be reached");
      failing = true;
    }
    if (!stopped) timer = setTimeout(() => (current = round()), ms).unref();
  };
  if (firstMs === undefined) current = round();
  else timer = setTimeout(() => (current = round()), firstMs).unref();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await current;
  };
}
