import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { JobRecord, JobWorker, Work } from "./job-queue.ts";
import { claimedRow, type JobCodec } from "./job-codec.ts";
import { claimedState, isOver } from "./job-state.ts";
import type { JobRow, JobTable, NewJob } from "./job-table.ts";
import type { HeldLease, JobLog } from "./lease.ts";
import { createLeases } from "./leases.ts";
import type { RecentJobs } from "./recent-jobs.ts";
import { createSlots } from "./slots.ts";
import { triage } from "./triage.ts";

/** A worker of a queue: it claims jobs whenever it has free slots. */
export interface ClaimingWorker extends JobWorker {
  /**
   * Inserts a job as held by this worker, which starts it once it is stored and its submitter has been answered.
   * Resolves like the table's `insert`. Returns undefined if no slot is free or older jobs wait: then insert it without
   * a token.
   */
  insert(job: NewJob, record: JobRecord): Promise<JobRow | undefined> | undefined;
  /** Checks for work now. */
  wake(): void;
  /** Aborts the work on jobs that were erased. Never rejects. */
  verify(): Promise<void>;
  /** The reason why no jobs are processed, for the operator; undefined while they are. */
  problem(): string | undefined;
}

/** Dependencies of a worker. */
export interface WorkerOptions {
  readonly table: JobTable;
  readonly owner: string;
  readonly codec: JobCodec;
  readonly recent: RecentJobs;
  readonly work: Work;
  readonly concurrency: number;
  readonly log: JobLog;
  readonly onStop: (worker: ClaimingWorker) => void;
}

/** Pause before a job whose work threw is retried, in milliseconds. */
const afterThrowMs = 1_000;
/** Pause between two claims while the store is unavailable, in milliseconds. */
const claimRetryMs = 500;
/** Interval between two claims of suspects while there are none, in milliseconds. */
const suspectPollMs = 1_000;
/** Time without a successful claim after which the worker reports a problem, in milliseconds. */
const silenceMs = 3_000;
/** Time in which all slots are taken and no job ends, after which the worker reports a problem, in milliseconds. */
const standstillMs = 300_000;

/** Starts a worker. */
export function startWorker(options: WorkerOptions): ClaimingWorker {
  const { table, owner, codec, recent, work, concurrency, log, onStop } = options;
  const slots = createSlots(concurrency, () => {
    onStop(worker);
    wake();
    return claimed;
  });
  const leases = createLeases({ table, owner, codec, log }, slots.signal);
  let wakeUp = Promise.withResolvers<void>();
  /** Resolves when the last claim has been answered and its jobs have been started. */
  let claimed = Promise.resolve();
  /** Number of slots that a claim in progress may fill. */
  let claiming = 0;
  /** Whether due jobs may be waiting in the table. */
  let backlog = true;
  let failing: string | undefined;
  let claimedAt = performance.now();
  let movedAt = performance.now();
  let suspectRuns = false;
  let suspectsAt = 0;

  function wake(): void {
    backlog = true;
    if (slots.free() > 0 || slots.stopped) wakeUp.resolve();
  }

  async function settle(lease: HeldLease, record: JobRecord, afterMs: number, signal: AbortSignal): Promise<void> {
    await lease.settle(record, { state: record.job.state, next: afterMs }, signal);
    if (isOver(record.job.state)) return;
    if (lease.valid()) recent.remember(codec.newJob(record));
    if (afterMs < table.pollMs) setTimeout(wake, afterMs + 1).unref();
  }

  async function processJob(lease: HeldLease, signal: AbortSignal): Promise<void> {
    recent.forget(lease.row.id);
    let last = lease.read.record;
    const tracked: typeof lease = {
      ...lease,
      async save(record) {
        await lease.save(record);
        last = record;
      },
    };
    try {
      const result = await work(lease.read.record, tracked);
      await settle(lease, result.record, result.kind === "later" ? result.afterMs : 0, signal);
    } catch {
      await settle(lease, last, signal.aborted ? 0 : afterThrowMs, signal);
    }
  }

  async function processInserted(
    job: NewJob,
    record: JobRecord,
    token: string,
    inserted: Promise<JobRow | undefined>,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      if ((await inserted) !== undefined) return;
    } catch {
      // The submitter gets an error. If the store has the job nevertheless, any worker may claim it.
      leases.disown(token);
      return;
    }
    const lease = leases.hold(claimedRow(job, token), {
      record: { ...record, job: { ...record.job, state: claimedState(record.job.state) } },
      readable: true,
    });
    await afterAnswer();
    await processJob(lease, signal);
  }

  function ended(): void {
    movedAt = performance.now();
    if (backlog) wake();
  }

  function start(lease: HeldLease, onEnd: () => void = () => {}): void {
    slots.start(
      (signal) => processJob(lease, signal),
      () => {
        onEnd();
        ended();
      },
    );
  }

  /** Ends a job that cannot be processed, by this worker or any other. */
  async function setAside(lease: HeldLease, error: string): Promise<void> {
    log.error({ job: lease.row.id, error }, "a job became a dead letter");
    const { record, readable } = lease.read;
    const dead = { ...record, job: { ...record.job, error, state: JobState.DEAD } };
    // An unreadable record is kept as it is, so that an operator can examine it.
    await lease.settle(readable ? dead : undefined, { state: JobState.DEAD, next: 0 }, slots.signal);
  }

  /** Releases a claimed job as it was, due again after a pause. */
  async function giveBack({ settle, row }: HeldLease, afterMs: number, giveUp: AbortSignal): Promise<void> {
    await settle(undefined, { state: row.state, next: afterMs, keepDeaths: true }, giveUp);
  }

  /**
   * Starts claimed jobs, or gives them back if the worker was stopped meanwhile. Suspects, which may have killed their
   * process, run one at a time, so that innocent ones are cleared.
   */
  async function startAll(found: readonly HeldLease[]): Promise<void> {
    if (slots.stopped) {
      for (const lease of found) await giveBack(lease, 0, AbortSignal.abort());
      return;
    }
    const { sound, suspects, unusable } = triage(found);
    for (const lease of sound) start(lease);
    for (const { lease, error } of unusable) await setAside(lease, error);
    const next = suspectRuns ? undefined : suspects.shift();
    for (const lease of suspects) await giveBack(lease, claimRetryMs, slots.signal);
    if (next === undefined) return;
    suspectRuns = true;
    start(next, () => {
      suspectRuns = false;
      wake();
    });
  }

  /** Claims suspects one at a time, once a second: a job that is merely held must not count as running. */
  async function claimSuspect(): Promise<void> {
    while (!suspectRuns && slots.free() > 0 && performance.now() >= suspectsAt) {
      const found = await leases.claim(1, true);
      if (found.length === 0) suspectsAt = performance.now() + suspectPollMs;
      await startAll(found);
    }
  }

  async function claim(): Promise<void> {
    const count = slots.free();
    if (count === 0) return;
    claiming = count;
    backlog = false;
    try {
      const found = await leases.claim(count, false);
      claiming = 0;
      claimedAt = performance.now();
      failing = undefined;
      if (found.length === count) backlog = true;
      await startAll(found);
      await claimSuspect();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      if (failing === undefined) log.warn({ reason }, "no jobs can be fetched at present");
      failing = reason;
      backlog = true;
    }
    claiming = 0;
  }

  async function run(): Promise<void> {
    while (!slots.stopped) {
      wakeUp = Promise.withResolvers<void>();
      claimed = claim();
      await claimed;
      const timer = setTimeout(wakeUp.resolve, failing === undefined ? table.pollMs : claimRetryMs);
      if (failing !== undefined) await new Promise((resolve) => setTimeout(resolve, claimRetryMs).unref());
      else await wakeUp.promise;
      clearTimeout(timer);
      // Lets jobs that end in the same turn of the event loop share one claim.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  const worker: ClaimingWorker = {
    insert(job, record) {
      if (backlog || failing !== undefined || slots.free() - claiming <= 0) return undefined;
      const token = leases.newToken();
      const inserted = table.insert(job, token);
      slots.start((signal) => processInserted(job, record, token, inserted, signal), ended);
      return inserted;
    },
    wake,
    verify: leases.verify,
    problem() {
      if (slots.stopped) return undefined;
      const now = performance.now();
      if (slots.free() > 0 && now - claimedAt > silenceMs) {
        return `no jobs have been fetched for ${Math.round((now - claimedAt) / 1000)} s${failing === undefined ? "" : `: ${failing}`}`;
      }
      if (slots.free() === 0 && now - movedAt > standstillMs)
        return `none of ${concurrency} running jobs has ended for ${Math.round((now - movedAt) / 60_000)} minutes`;
      return undefined;
    },
    async stop(signal) {
      await slots.stop(signal);
      leases.close();
    },
  };
  void run();
  return worker;
}

/** Resolves when the pending answer has been written to its socket. */
async function afterAnswer(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
}
