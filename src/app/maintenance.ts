import type { RunningExecutor } from "../executor/executor.ts";
import { metricNames } from "../telemetry/attributes.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Stores } from "./open-stores.ts";

/** What is done behind the calls. */
export interface UpkeepParts {
  readonly executor: RunningExecutor;
  readonly stores: Stores;
  readonly telemetry: Telemetry;
  /** How long ended calls and jobs are kept. */
  readonly windowMs: number;
  /** Pause between two looks for calls whose process died, in milliseconds. */
  readonly recoverMs?: number;
  /** Pause between two sweeps of what is older than the window, in milliseconds. */
  readonly sweepMs?: number;
}

/** Upkeep under way. */
export interface Upkeep {
  stop(): Promise<void>;
}

/** Starts the upkeep: taking over abandoned calls, forgetting old ones, numbers for the metrics. */
export function startUpkeep({
  executor,
  stores,
  telemetry,
  windowMs,
  recoverMs = 2000,
  sweepMs = 60_000,
}: UpkeepParts): Upkeep {
  const { log, metrics } = telemetry;
  const { ledger, queue } = stores;
  const recovering = repeat(recoverMs, true, async () => void (await executor.recover()), log);
  const sweeping = repeat(
    sweepMs,
    false,
    async () => {
      await Promise.all([ledger.erase({ olderThanMs: windowMs }), queue.erase({ olderThanMs: windowMs })]);
    },
    log,
  );
  const ofQueue = (read: (status: Awaited<ReturnType<typeof queue.status>>) => number) => async () =>
    read(await queue.status().catch(() => ({ open: 0, dead: 0, oldestMs: 0 })));
  metrics.gauge(
    metricNames.queueDepth,
    "Jobs that are not done",
    ofQueue(({ open }) => open),
  );
  metrics.gauge(
    metricNames.deadLetters,
    "Jobs given up, waiting for a person",
    ofQueue(({ dead }) => dead),
  );
  metrics.gauge(
    metricNames.oldestJobAge,
    "Age of the oldest job that is not done",
    ofQueue(({ oldestMs }) => oldestMs / 1000),
  );
  metrics.gauge(metricNames.running, "Executions going on", () => executor.running);
  return {
    async stop() {
      await Promise.all([recovering(), sweeping()]);
    },
  };
}

/** Repeats work with a pause in between until stopped; a fault is logged once and tried again. */
function repeat(ms: number, atOnce: boolean, work: () => Promise<void>, log: Telemetry["log"]): () => Promise<void> {
  let stopped = false;
  let failing = false;
  let timer: NodeJS.Timeout | undefined;
  let current = Promise.resolve();
  const round = async (): Promise<void> => {
    try {
      await work();
      failing = false;
    } catch (cause) {
      if (!failing) log.warn({ err: cause }, "upkeep is postponed: the store cannot be reached");
      failing = true;
    }
    if (!stopped) timer = setTimeout(() => (current = round()), ms).unref();
  };
  if (atOnce) current = round();
  else timer = setTimeout(() => (current = round()), ms).unref();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await current;
  };
}
