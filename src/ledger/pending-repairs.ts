/** A change that must be made once the store answers again. */
export interface Repair {
  run(): Promise<void>;
  /** Whether the repair stores the outcome of a call. */
  readonly outcome: boolean;
}

/**
 * Changes that an outage of the store left undone, by key. Repairs of the same key run in the order in which they were
 * added.
 */
export interface PendingRepairs {
  add(key: string, repair: Repair): void;
  has(key: string): boolean;
  /** Runs the repairs of a key now. Rejects if the store is still unavailable. */
  settle(key: string): Promise<void>;
  readonly count: number;
  /** Number of repairs that store an outcome. */
  readonly outcomes: number;
  /** Resolves when no outcome waits any more. */
  settled(): Promise<void>;
  /** Tries all repairs once more and stops. */
  close(): Promise<void>;
}

/** Pause between two attempts, in milliseconds. */
const retryMs = 500;

/** Creates the list. It retries automatically. */
export function createPendingRepairs(): PendingRepairs {
  const pending = new Map<string, Repair[]>();
  const settling = new Map<string, Promise<void>>();
  let count = 0;
  let outcomes = 0;
  let waiting: (() => void)[] = [];
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  /**
   * Runs the repairs of all keys until one fails, because then the store is probably still unavailable. That key comes
   * last in the next round, so that one locked row does not hold up the others.
   */
  async function settleInTurn(): Promise<void> {
    for (const key of pending.keys()) {
      try {
        await settle(key);
      } catch {
        const rest = pending.get(key);
        pending.delete(key);
        if (rest !== undefined) pending.set(key, rest);
        return;
      }
    }
  }

  function plan(): void {
    if (closed || timer !== undefined || pending.size === 0) return;
    timer = setTimeout(async () => {
      await settleInTurn();
      timer = undefined;
      plan();
    }, retryMs);
    timer.unref();
  }

  function settle(key: string): Promise<void> {
    const current = settling.get(key) ?? runAll(key).finally(() => settling.delete(key));
    settling.set(key, current);
    return current;
  }

  async function runAll(key: string): Promise<void> {
    for (let list = pending.get(key); list?.[0] !== undefined; list = pending.get(key)) {
      const [repair] = list;
      await repair.run();
      list.shift();
      count -= 1;
      if (repair.outcome) outcomes -= 1;
      if (list.length === 0) pending.delete(key);
    }
    if (outcomes > 0) return;
    for (const resolve of waiting) resolve();
    waiting = [];
  }

  return {
    add(key, repair) {
      const list = pending.get(key);
      if (list === undefined) pending.set(key, [repair]);
      else list.push(repair);
      count += 1;
      if (repair.outcome) outcomes += 1;
      plan();
    },
    has: (key) => pending.has(key),
    settle,
    get count() {
      return count;
    },
    get outcomes() {
      return outcomes;
    },
    settled: () => (outcomes === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    async close() {
      closed = true;
      clearTimeout(timer);
      // One that fails stays undone.
      for (const key of pending.keys()) await settle(key).catch(() => {});
    },
  };
}
