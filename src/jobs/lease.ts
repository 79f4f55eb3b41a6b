import type { JobCodec, ReadRow } from "./job-codec.ts";
import { JobQueueUnavailableError, type JobLease, type JobRecord } from "./job-queue.ts";
import type { Change, JobRow, JobTable } from "./job-table.ts";

/** Receives what an operator should know. */
export interface JobLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A lease as the worker holds it. */
export interface HeldLease extends JobLease {
  /** The row as it was claimed. */
  readonly row: JobRow;
  /** What the row was read as. */
  readonly read: ReadRow;
  /**
   * Writes how this piece of work ended and gives the job back. While the store is away the job stays with this process,
   * until `giveUp` fires. Resolves also where the lease is lost: then another worker decides.
   */
  settle(record: JobRecord | undefined, change: Omit<Change, "record">, giveUp: AbortSignal): Promise<void>;
  /** Notes that the store has extended the lease, with a request sent at this time by `performance.now()`. */
  extended(sentAt: number): void;
  /** Ends the work on the job; the lease can still be settled. */
  stop(reason: unknown): void;
  /** Checks that the row is there and ours; writes it anew where the store has lost it. */
  verify(): Promise<void>;
}

/** Pause between two tries to settle while the store is away, in milliseconds. */
const settleAgainMs = 1_000;

/** Creates the lease of a row that is held under its token. `onEnd` runs when it is settled or lost. */
export function createLease(
  { table, codec, log }: { readonly table: JobTable; readonly codec: JobCodec; readonly log: JobLog },
  row: JobRow,
  read: ReadRow,
  onEnd: (lease: HeldLease) => void,
): HeldLease {
  const work = new AbortController();
  let lost = false;
  const expected = { token: row.token, held: true };
  let until = performance.now() + table.leaseMs;
  let last = read.record;

  function lose(): void {
    lost = true;
    work.abort(new Error("the job belongs to another worker now"));
    onEnd(lease);
  }

  /** False where the row is not ours any more. Where the store has lost the row, as by a fail-over, writes it anew. */
  async function isOurs(): Promise<boolean> {
    const found = await table.get(row.id);
    if (found === undefined) {
      if ((await table.insert(codec.newJob(last), row.token)) !== undefined) return false;
      log.warn({ job: row.id }, "the store has lost a job that it had acknowledged: it is written anew");
      return true;
    }
    if (found.token !== row.token || !found.held) return false;
    if (found.record !== "") return true;
    // Erased meanwhile: nothing of it may stay.
    await table.remove(row.id, row.token);
    return false;
  }

  async function write(next: JobRecord | undefined, change: Change): Promise<void> {
    const sentAt = performance.now();
    const whole = next === undefined ? change : { ...change, record: codec.text(next) };
    last = next ?? last;
    const written =
      (await table.write(row.id, expected, whole)) ||
      ((await isOurs()) && (await table.write(row.id, expected, whole)));
    if (!written) {
      lose();
      throw new JobQueueUnavailableError("the job belongs to another worker now");
    }
    until = sentAt + table.leaseMs;
  }

  const lease: HeldLease = {
    row,
    read,
    signal: work.signal,
    valid: () => !lost && performance.now() < until,
    save: (next) => write(next, { state: next.job.state, next: "hold" }),
    async settle(next, change, giveUp) {
      for (;;) {
        if (lost) break;
        try {
          await write(next, change);
          break;
        } catch {
          if (giveUp.aborted) break;
          await pause(settleAgainMs, giveUp);
        }
      }
      onEnd(lease);
    },
    extended: (sentAt) => void (until = sentAt + table.leaseMs),
    stop: (reason) => work.abort(reason),
    async verify() {
      if (!(await isOurs())) lose();
    },
  };
  return lease;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end, { once: true });
  });
}
