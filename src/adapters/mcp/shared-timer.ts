import { LinkedList, type ListItem } from "../../linked-list.ts";

interface Waiting {
  readonly since: number;
  readonly onDue: () => void;
}

/** A pending wait. */
export type Wait = ListItem<Waiting>;

/** One timer for many waits of the same duration. */
export interface SharedTimer {
  /** Calls `onDue` once, after the duration. */
  wait(onDue: () => void): Wait;
  /** Cancels a wait, if it is pending. */
  cancel(wait: Wait): void;
}

/**
 * Creates a timer for waits of this many milliseconds, of which nearly all are cancelled. It does not keep the process
 * alive. A separate timer per request costs three times as much (0.33 µs instead of 0.11 µs).
 */
export function createSharedTimer(ms: number): SharedTimer {
  // Ordered by due time.
  const waits = new LinkedList<Waiting>();
  let timer: NodeJS.Timeout | undefined;

  function arm({ value: { since } }: Wait): void {
    timer = setTimeout(check, Math.max(1, since + ms - performance.now())).unref();
  }

  function check(): void {
    timer = undefined;
    const until = performance.now() - ms;
    for (let { first } = waits; first !== undefined; { first } = waits) {
      if (first.value.since > until) return arm(first);
      waits.remove(first);
      first.value.onDue();
    }
  }

  return {
    wait(onDue) {
      const wait = waits.add({ since: performance.now(), onDue });
      if (timer === undefined) arm(wait);
      return wait;
    },
    cancel: (wait) => waits.remove(wait),
  };
}
