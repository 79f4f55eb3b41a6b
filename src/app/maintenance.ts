import type { RunningExecutor } from "../executor/executor.ts";
import type { JobQueue, QueueStatus } from "../jobs/job-queue.ts";
import { metricNames } from "../telemetry/attributes.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Stores } from "./open-stores.ts";

/** What is maintained. Times in milliseconds. */
export interface MaintenanceParts {
  readonly executor: RunningExecutor;
  readonly stores: Pick<Stores, "ledger" | "queue" | "checkKeys">;
  readonly telemetry: Pick<Telemetry, "log" | "metrics">;
  /** How long ended calls and jobs are kept. */
  readonly windowMs: number;
  /** How long UNCERTAIN calls are kept. */
  readonly uncertainMs: number;
  /** How long dead jobs are kept. */
  readonly deadJobsMs: number;
  /** Pause between two recoveries of calls whose process died, 2 s by default. */
  readonly recoverMs?: number;
  /** Pause between two sweeps of what is older than the window, 1 min by default. */
  readonly sweepMs?: number;
  /** Pause before the first sweep, 5 s by default: a process that is killed every few seconds forgets as well. */
  readonly firstSweepMs?: number;
}

/** Running maintenance. */
export interface Maintenance {
  stop(): Promise<void>;
}

/** How long a scrape of the metrics waits for the counts of jobs. */
const countWithinMs = 1_000;
/** How long counts are given out again. */
const countAgainMs = 1_000;
/** Older counts are not given out: a metric that is missing is better than one that is wrong. */
const staleMs = 60_000;

/** Starts the maintenance: recovers abandoned calls, deletes old records, counts jobs for the metrics. */
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
  gauge(metricNames.queueDepth, "Jobs that are not done", ({ open }) => open);
  gauge(metricNames.deadLetters, "Jobs given up, waiting for a person", ({ dead }) => dead);
  gauge(metricNames.oldestJobAge, "Age of the oldest job that is not done", ({ oldestMs }) => oldestMs / 1_000);
  metrics.gauge(metricNames.running, "Executions going on", () => executor.running);
  return {
    async stop() {
      await Promise.all([recovering(), sweeping()]);
    },
  };
}

/** Deletes portion by portion, so that other requests come in between. */
async function eraseJobs(
  queue: JobQueue,
  retention: { olderThanMs: number; deadOlderThanMs: number },
  isStopped: () => boolean,
): Promise<void> {
  while (!isStopped()) if ((await queue.erase(retention)) === 0) return;
}

/**
 * Reads the counts of jobs: one request at a time however many ask, each under a time limit. Gives out the last counts
 * while the store is slow or away, for a minute; rejects after that.
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
      // The store is away: its own readiness check reports it.
    }
    running = undefined;
  };
  return async () => {
    if (last === undefined || now() - last.at > countAgainMs) {
      running ??= read();
      await withTimeLimit(running, countWithinMs);
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
 * Repeats work with a pause in between until stopped, at once or after a first pause; a failure is logged once and tried
 * again.
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
