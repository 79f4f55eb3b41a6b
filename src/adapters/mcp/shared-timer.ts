/** A pending wait. */
export interface Wait {
  readonly since: number;
  readonly onDue: () => void;
}

/** One timer for many waits of the same duration. */
export interface SharedTimer {
  /** Calls `onDue` once, after the duration. */
  wait(onDue: () => void): Wait;
  /** Cancels a wait that is pending. */
  cancel(wait: Wait): void;
}

/** A wait in the list of all, which is ordered by due time. */
interface Entry extends Wait {
  before: Entry | undefined;
  after: Entry | undefined;
  isPending: boolean;
}

/**
 * Creates a timer for waits of this many milliseconds, of which nearly all are cancelled. It does not keep the process
 * alive. A separate timer per request costs three times as much (0.33 µs instead of 0.11 µs).
 *
 * The waits are linked to each other and not kept in a Set: the tables that a busy Set leaves behind live until the next
 * full garbage collection, and with them every request that they refer to, which costs 8 µs per call of MCP.
 */
export function createSharedTimer(ms: number): SharedTimer {
  let first: Entry | undefined;
  let last: Entry | undefined;
  let timer: NodeJS.Timeout | undefined;

  function arm({ since }: Entry): void {
    timer = setTimeout(check, Math.max(1, since + ms - performance.now())).unref();
  }

  function check(): void {
    timer = undefined;
    const until = performance.now() - ms;
    while (first !== undefined) {
      if (first.since > until) return arm(first);
      const { onDue } = first;
      remove(first);
      onDue();
    }
  }

  function remove(entry: Entry): void {
    const { before, after } = entry;
    if (before === undefined) first = after;
    else before.after = after;
    if (after === undefined) last = before;
    else after.before = before;
    // Refers to no other request any more, however long this one lives.
    entry.before = undefined;
    entry.after = undefined;
    entry.isPending = false;
  }

  return {
    wait(onDue) {
      const entry: Entry = { since: performance.now(), onDue, before: last, after: undefined, isPending: true };
      if (last === undefined) first = entry;
      else last.after = entry;
      last = entry;
      if (timer === undefined) arm(entry);
      return entry;
    },
    cancel(wait) {
      const entry = wait as Entry;
      if (entry.isPending) remove(entry);
    },
  };
}
