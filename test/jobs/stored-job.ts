import { createJobCodec, claimedRow } from "../../src/jobs/job-codec.ts";
import type { JobRow, JobTable, NewJob } from "../../src/jobs/job-table.ts";
import type { JobLog } from "../../src/jobs/lease.ts";
import { plainSealer } from "../../src/store/sealer.ts";
import { aRecord } from "./samples.ts";

export const codec = createJobCodec(plainSealer);

/** The row of a job as a table returns it to the claim with this token. */
export function aHeldRow(id: string, token: string): JobRow {
  return claimedRow(codec.newJob(aRecord({ id })), token);
}

/**
 * A table of a server whose rows the test sets. `requests` records the requests. Methods that the test does not replace
 * behave like those of a working server.
 */
export function aTable(leaseMs: number, replaced: Partial<JobTable> = {}) {
  const rows = new Map<string, JobRow>();
  const requests: unknown[][] = [];
  const table = {
    pollMs: 1_000,
    leaseMs,
    get: async (id) => rows.get(id),
    insert: async (job: NewJob, token: string) => {
      requests.push(["insert", job.id, token]);
      if (!rows.has(job.id)) return void rows.set(job.id, claimedRow(job, token));
      return rows.get(job.id);
    },
    write: async (id, expected, change) => {
      requests.push(["write", id, expected, change]);
      const row = rows.get(id);
      if (row === undefined || row.token !== expected.token || row.held !== expected.held) return false;
      rows.set(id, { ...row, state: change.state, record: change.record ?? row.record, held: change.next === "hold" });
      return true;
    },
    remove: async (id, token) => {
      requests.push(["remove", id, token]);
      rows.delete(id);
    },
    extend: async (leases) => {
      requests.push(["extend", leases]);
      return leases.filter(({ id, token }) => rows.get(id)?.token === token).map(({ id }) => id);
    },
    claim: async (request) => {
      requests.push(["claim", request]);
      return [];
    },
    release: async (token) => void requests.push(["release", token]),
    ...replaced,
  } as Partial<JobTable> as JobTable;
  return { table, rows, requests };
}

/** A log that records its lines. */
export function aLog(): JobLog & { readonly lines: object[] } {
  const lines: object[] = [];
  const line = (level: string) => (fields: object, message: string) => void lines.push({ level, message, ...fields });
  return { lines, warn: line("warn"), error: line("error") };
}
