import type { JobRecord } from "../job-queue.ts";

/** What a look into the store found. */
export interface Found {
  /** Due jobs in the order in which they are due, at most as many as asked for. */
  readonly records: readonly JobRecord[];
  /** Until the next one is due, in milliseconds; undefined where there is none. */
  readonly nextInMs: number | undefined;
}

/** Most due jobs in memory: the rest stay in the store until their turn. */
const most = 1_000;
/** How many are read at once. */
const portion = 256;
/** Longest pause between two looks into the store, in milliseconds: what was missed for an outage is found by then. */
const longestPauseMs = 1_000;

/**
 * The due jobs that nobody works on yet: the next ones in memory, the rest in the store. A new job is handed on from
 * memory, unless older ones still wait in the store: so that jobs keep their order, and a backlog costs no memory.
 */
export class DueJobs {
  readonly #read: (most: number) => Promise<Found>;
  readonly #isHeld: (id: string) => boolean;
  readonly #wake: () => void;
  readonly #next = new Map<string, JobRecord>();
  /** The store may hold due jobs that are not in memory. */
  #behind = true;
  #reading = false;
  #timer: NodeJS.Timeout | undefined;
  #lookAt = Number.POSITIVE_INFINITY;

  /** `read` looks into the store; `isHeld` tells jobs that are being worked on; `wake` is called when there is more to take. */
  constructor(read: (most: number) => Promise<Found>, isHeld: (id: string) => boolean, wake: () => void) {
    this.#read = read;
    this.#isHeld = isHeld;
    this.#wake = wake;
  }

  /** A job was stored and is due. */
  offer(record: JobRecord): void {
    if (this.#behind || this.#reading || this.#next.size >= most) this.#behind = true;
    else this.#next.set(record.job.id, record);
  }

  /** Takes the next one. Where there is none in memory, looks into the store and wakes when something was found. */
  take(): JobRecord | undefined {
    for (const [id, record] of this.#next) {
      this.#next.delete(id);
      return record;
    }
    if (this.#behind && !this.#reading) void this.#look();
    return undefined;
  }

  /** Takes one out that must not be worked on. */
  drop(id: string): void {
    this.#next.delete(id);
  }

  /** Looks into the store again after so many milliseconds, or sooner. */
  lookIn(ms: number): void {
    const pause = Math.min(Math.max(1, ms), longestPauseMs);
    const at = performance.now() + pause;
    if (at >= this.#lookAt) return;
    clearTimeout(this.#timer);
    this.#lookAt = at;
    this.#timer = setTimeout(() => {
      this.#lookAt = Number.POSITIVE_INFINITY;
      this.#behind = true;
      this.#wake();
    }, pause);
  }

  /** Nobody takes any more: forgets all, which the store keeps. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#lookAt = Number.POSITIVE_INFINITY;
    this.#next.clear();
    this.#behind = true;
  }

  async #look(): Promise<void> {
    this.#reading = true;
    this.#behind = false;
    try {
      const { records, nextInMs = longestPauseMs } = await this.#read(portion);
      if (records.length === portion) this.#behind = true;
      for (const record of records) if (!this.#isHeld(record.job.id)) this.#next.set(record.job.id, record);
      this.lookIn(nextInMs);
    } catch {
      // The store is away: the next look tries again.
      this.lookIn(longestPauseMs);
    }
    this.#reading = false;
    if (this.#next.size > 0 || this.#behind) this.#wake();
  }
}
