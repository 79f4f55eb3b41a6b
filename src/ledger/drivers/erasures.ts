import type { CallSelector, ErasureListener } from "../ledger.ts";

/**
 * How long a shared server keeps what was erased on request, in milliseconds, so that every replica learns of it. A
 * replica that has not heard of the server for longer deletes everything that it keeps in memory.
 */
export const erasureMs = 600_000;

/** An erasure as a server keeps it: its id, and the selector as text. */
export type StoredErasure = readonly [id: string, selector: string];

/** The erasures that other replicas have requested, as this process learns of them. */
export interface Erasures {
  /** Takes the erasures of the last `erasureMs` that the server knows, at its time in Unix milliseconds. */
  saw(time: number, found: readonly StoredErasure[]): void;
  /** Calls `listener` once for each erasure. Returns a function that removes the listener. */
  onErased(listener: ErasureListener): () => void;
}

/** Creates the list of erasures. */
export function createErasures(): Erasures {
  const listeners = new Set<ErasureListener>();
  let known = new Set<string>();
  let lastTime: number | undefined;
  const report = (selector: CallSelector | "all"): void => {
    for (const listener of listeners) listener(selector);
  };
  return {
    saw(time, found) {
      if (lastTime !== undefined && time - lastTime >= erasureMs) report("all");
      lastTime = time;
      for (const [id, selector] of found) if (!known.has(id)) report(selectorFrom(selector));
      known = new Set(found.map(([id]) => id));
    },
    onErased(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Returns a stored selector; `all` for one that this version cannot read. */
function selectorFrom(text: string): CallSelector | "all" {
  try {
    return JSON.parse(text) as CallSelector;
  } catch {
    return "all";
  }
}
