import type { CallScope, CallSelector } from "./ledger.ts";
import { selects } from "./selects.ts";

/** What was erased on request lately, by any replica, as this process learned of it. */
export interface RecentErasures {
  add(selector: CallSelector): void;
  /** Reports whether calls of this scope were erased at or after this time of the ledger's monotonic clock. */
  cover(scope: CallScope, since: number): boolean;
}

/** How long an erasure is remembered, in milliseconds: as long as servers report it. */
const rememberMs = 600_000;

/** Creates the list of erasures. */
export function createRecentErasures(now: () => number): RecentErasures {
  let recent: { selector: CallSelector; at: number }[] = [];
  return {
    add(selector) {
      const at = now();
      recent = recent.filter((erasure) => at - erasure.at <= rememberMs);
      recent.push({ selector, at });
    },
    cover: (scope, since) => recent.some(({ selector, at }) => at >= since && selects(selector, scope)),
  };
}
