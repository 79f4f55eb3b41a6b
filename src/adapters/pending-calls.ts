/** Asks whether a call still runs. Rejects where that cannot be said at present. */
export type AskRunning = (keyName: string, callId: string) => Promise<boolean>;

/** How pending calls are watched. Times in milliseconds. */
export interface PendingCallsOptions {
  readonly limit: number;
  readonly stillRuns: AskRunning;
  /** How often some of the calls are asked about. */
  readonly sweepEveryMs?: number;
  /** A call is given up after this time: what was not heard of for a day no longer counts. */
  readonly staleAfterMs?: number;
  readonly now?: () => number;
}

/** The calls of one adapter that are under way: requests that wait, and calls that outlived theirs. */
export interface PendingCalls {
  readonly count: number;
  /** Whether one more may begin; a repeat of a call that is counted already may always. */
  admits(keyName: string, callId: string): boolean;
  began(): void;
  /** A request got its answer; `running` says that the call itself goes on. */
  answered(keyName: string, callId: string, running: boolean): void;
  close(): void;
}

/** How many calls one sweep asks about: it must not hold anybody up. */
const sweepSize = 32;

/** Counts pending calls, and removes stale ones on a timer that blocks nobody. */
export function createPendingCalls({
  limit,
  stillRuns,
  sweepEveryMs = 1000,
  staleAfterMs = 86_400_000,
  now = Date.now,
}: PendingCallsOptions): PendingCalls {
  const outlived = new Map<string, { keyName: string; callId: string; since: number }>();
  let waiting = 0;
  let timer: NodeJS.Timeout | undefined;

  async function look(id: string): Promise<void> {
    const entry = outlived.get(id);
    if (entry === undefined) return;
    const gone =
      now() - entry.since > staleAfterMs || !(await stillRuns(entry.keyName, entry.callId).catch(() => true));
    outlived.delete(id);
    // At the end of the line again, so that every call gets its turn.
    if (!gone) outlived.set(id, entry);
  }

  async function sweep(): Promise<void> {
    await Promise.all(outlived.keys().take(sweepSize).toArray().map(look));
    timer = undefined;
    schedule();
  }

  function schedule(): void {
    if (timer !== undefined || outlived.size === 0) return;
    timer = setTimeout(() => void sweep(), sweepEveryMs).unref();
  }

  return {
    get count() {
      return waiting + outlived.size;
    },
    admits: (keyName, callId) => waiting + outlived.size < limit || outlived.has(`${keyName}\n${callId}`),
    began() {
      waiting += 1;
    },
    answered(keyName, callId, running) {
      waiting -= 1;
      if (running) {
        outlived.set(`${keyName}\n${callId}`, { keyName, callId, since: now() });
        schedule();
      } else if (outlived.size > 0) outlived.delete(`${keyName}\n${callId}`);
    },
    close() {
      clearTimeout(timer);
      outlived.clear();
    },
  };
}
