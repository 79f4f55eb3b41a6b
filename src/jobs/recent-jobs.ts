import type { JobTable, NewJob } from "./job-table.ts";
import type { JobLog } from "./lease.ts";

/**
 * Jobs that wait for a worker, which this process has accepted or put off recently: a server may lose them in a
 * fail-over. A job that is held is written again by its lease.
 */
export interface RecentJobs {
  remember(job: NewJob): void;
  /** Call it when this process holds the job. */
  forget(id: string): void;
  /** Writes lost jobs again. Call it when the server is back after an outage. Never rejects. */
  restore(): Promise<void>;
}

/** How long a job is cached, in milliseconds: longer than the lag of a server's replica. */
const rememberMs = 60_000;
/** Maximum number of cached jobs. */
const maxCached = 1_000;

/** Caches recent jobs if the table can restore them. */
export function createRecentJobs(table: JobTable, log: JobLog, now = () => performance.now()): RecentJobs {
  const recent = new Map<string, { job: NewJob; at: number }>();
  let timer: NodeJS.Timeout | undefined;

  function trim(): void {
    for (const [id, { at }] of recent) {
      if (recent.size <= maxCached && now() - at <= rememberMs) return;
      recent.delete(id);
    }
  }

  /** Trims as soon as the oldest is too old, so that nothing is kept for longer. */
  function trimInTime(): void {
    if (timer !== undefined) return;
    const [oldest] = recent.values();
    if (oldest === undefined) return;
    const onTime = (): void => {
      timer = undefined;
      trim();
      trimInTime();
    };
    timer = setTimeout(onTime, oldest.at + rememberMs - now() + 1).unref();
  }

  return {
    remember(job) {
      if (table.restore === undefined) return;
      recent.delete(job.id);
      recent.set(job.id, { job, at: now() });
      trim();
      trimInTime();
    },
    forget: (id) => void recent.delete(id),
    async restore() {
      trim();
      for (const { job } of recent.values()) {
        try {
          if (await table.restore?.(job, ""))
            log.warn({ job: job.id }, "the store has lost an acknowledged job: it is written again");
        } catch {
          // The server is unavailable again: its next return is handled in the same way.
          return;
        }
      }
    },
  };
}
