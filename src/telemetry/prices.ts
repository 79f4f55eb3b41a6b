import { matchesPattern } from "../auth/caller.ts";
import type { Prices } from "../config/config.ts";

/** Maximum number of cached prices, by caller. */
const maxPrices = 20_000;

/**
 * Creates a cached lookup of an execution's price: the caller's own price first, then the tool's; exact names before
 * patterns.
 */
export function rememberPrices(prices: Prices): (tool: string, caller: string) => number {
  const priceIn = (table: Readonly<Record<string, number>> | undefined, tool: string): number | undefined => {
    if (table === undefined) return undefined;
    if (Object.hasOwn(table, tool)) return table[tool];
    return Object.entries(table).find(([pattern]) => matchesPattern(pattern, tool))?.[1];
  };
  const cached = new Map<string, Map<string, number>>();
  return (tool, caller) => {
    const known = cached.get(caller)?.get(tool);
    if (known !== undefined) return known;
    const own = Object.hasOwn(prices.callers, caller) ? prices.callers[caller] : undefined;
    const price = priceIn(own, tool) ?? priceIn(prices.tools, tool) ?? 0;
    const inner = cached.get(caller) ?? new Map<string, number>();
    if (inner.size < maxPrices) cached.set(caller, inner.set(tool, price));
    return price;
  };
}
