import type { JobCodec, ReadRow } from "./job-codec.ts";
import { JobQueueUnavailableError, type JobLease, type JobRecord } from "./job-queue.ts";
import type { Change, JobRow, JobTable } from "./job-table.ts";

/** Receives findings for the operator. */
export interface JobLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A lease with the operations of the worker that holds it. */
export interface HeldLease extends JobLease {
  /** The claimed row. */
  readonly row: JobRow;
  /** The decoded row. */
  readonly read: ReadRow;
  /**
   * Records the end of this step and releases the job. While the store is unavailable, this process keeps the job,
   * until `giveUp` fires. Also resolves if the lease is lost: then another worker decides.
   */
  settle(record: JobRecord | undefined, change: Omit<Change, "record">, giveUp: AbortSignal): Promise<void>;
  /** Records that the store has extended the lease, by a request sent at this `performance.now()` time. */
  extended(sentAt: number): void;
  /** Aborts the work on the job; the lease can still be settled. */
  stop(reason: unknown): void;
  /** Checks that the row exists and is ours; writes it again if the store may have lost it. */
  verify(): Promise<void>;
}

/** Pause between two attempts to settle while the store is unavailable, in milliseconds. */
const settleRetryMs = 1_000;

/** Creates the lease of a row held under its token. `onEnd` is called when it is settled or lost. */
export function createLease(
  { table, codec, log }: { readonly table: JobTable; readonly codec: JobCodec; readonly log: JobLog },
  row: JobRow,
  read: ReadRow,
  onEnd: () => void,
): HeldLease {
  const work = new AbortController();
  let lost = false;
  const expected = { token: row.token, held: true };
  let until = performance.now() + table.leaseMs;
  let last = read.record;

  function lose(): void {
    lost = true;
    work.abort(new Error("the job belongs to another worker now"));
    onEnd();
  }

  /**
   * Returns false if this process no longer holds the row. A store that may lose rows, for example in a fail-over, gets
   * a lost one again. In any other store, and if it was erased, a missing row has ended elsewhere.
   */
  async function isOurs(): Promise<boolean> {
    const found = await table.get(row.id);
    if (found === undefined) {
      if (!(await table.restore?.(codec.newJob(last), row.token))) return false;
      log.warn({ job: row.id }, "the store has lost an acknowledged job: it is written again");
      return true;
    }
    if (found.token !== row.token || !found.held) return false;
    if (found.record !== "") return true;
    // Erased meanwhile: none of its content may remain.
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
          await pause(settleRetryMs, giveUp);
        }
      }
      onEnd();
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
