import { vi } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { JobRecord, Work, WorkResult } from "../../src/jobs/job-queue.ts";
import type { JobRow, JobTable } from "../../src/jobs/job-table.ts";
import { createRecentJobs } from "../../src/jobs/recent-jobs.ts";
import { startWorker } from "../../src/jobs/worker.ts";
import { aHeldRow, aLog, aTable, codec } from "./stored-job.ts";

/** Advances the timers by this number of milliseconds, and waits until everything that they start is idle. */
export async function pass(ms = 0): Promise<void> {
  const stepMs = Math.max(250, ms / 100);
  for (let left = ms; left >= 0; left -= stepMs) {
    await vi.advanceTimersByTimeAsync(Math.min(left, stepMs));
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}

export const inState = (record: JobRecord, state: JobState): JobRecord => ({
  ...record,
  job: { ...record.job, state },
});
export const done = async (record: JobRecord): Promise<WorkResult> => ({
  kind: "ended",
  record: inState(record, JobState.DONE),
});

/** A worker on a server on which these jobs are due, with records of its requests. */
export function startTestWorker(
  work: Work,
  { due = [], concurrency = 2, ...replaced }: Partial<JobTable> & { due?: JobRow[]; concurrency?: number } = {},
) {
  const server = { away: false, due, suspects: [] as JobRow[], claims: [] as string[] };
  const { table, rows, requests } = aTable(60_000, {
    claim: async ({ token, count, suspects }) => {
      server.claims.push(suspects ? "suspects" : "due");
      if (server.away) throw new Error("down");
      return (suspects ? server.suspects : server.due).splice(0, count).map((row) => {
        const claimed = { ...row, token };
        rows.set(row.id, claimed);
        return claimed;
      });
    },
    ...replaced,
  });
  const log = aLog();
  const stopped: unknown[] = [];
  const worker = startWorker({
    table,
    owner: "me",
    codec,
    recent: createRecentJobs(table, log),
    work,
    concurrency,
    log,
    onStop: (ended) => void stopped.push(ended),
  });
  const writes = (): unknown[] => requests.filter(([name]) => name === "write").map(([, id, , change]) => [id, change]);
  const dueClaims = (): number => server.claims.filter((kind) => kind === "due").length;
  return { worker, server, rows, requests, log, stopped, writes, dueClaims };
}

export const due = (id: string): JobRow => aHeldRow(id, "");

/** Work that the test ends, and the ids of its jobs. */
export function blockedWork() {
  const ids: string[] = [];
  const ends: (() => void)[] = [];
  const work: Work = async (record) => {
    ids.push(record.job.id);
    await new Promise<void>((resolve) => ends.push(resolve));
    return await done(record);
  };
  return { ids, ends, work };
}
