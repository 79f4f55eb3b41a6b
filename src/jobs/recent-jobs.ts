import type { JobTable, NewJob } from "./job-table.ts";
import type { JobLog } from "./lease.ts";

/** Jobs that were accepted a moment ago and wait for a worker: a server that fails over may have lost them. */
export interface RecentJobs {
  remember(job: NewJob): void;
  /** Writes anew what the server has lost. For use when it is back after an outage. Never rejects. */
  restore(): Promise<void>;
}

/** How long a job is remembered, in milliseconds: longer than a replica of the server may lag. */
const rememberMs = 60_000;
/** Maximum number of jobs that are remembered. */
const maxRemembered = 1_000;

/** Remembers recent jobs where the table can restore them. */
export function createRecentJobs(table: JobTable, log: JobLog, now = () => performance.now()): RecentJobs {
  const recent = new Map<string, { job: NewJob; at: number }>();

  function trim(): void {
    for (const [id, { at }] of recent) {
      if (recent.size <= maxRemembered && now() - at <= rememberMs) return;
      recent.delete(id);
    }
  }

  return {
    remember(job) {
      if (table.restore === undefined) return;
      recent.delete(job.id);
      recent.set(job.id, { job, at: now() });
      trim();
    },
    async restore() {
      trim();
      for (const { job } of recent.values()) {
        try {
          if (await table.restore?.(job))
            log.warn({ job: job.id }, "the store has lost a job that it had acknowledged: it is written anew");
        } catch {
          // The server is away again: its next return is looked at as well.
          return;
        }
      }
    },
  };
}
