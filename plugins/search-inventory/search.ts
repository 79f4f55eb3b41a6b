import { ToolError } from "jackfield/plugin";
import type { PrismaClient } from "./generated/client.ts";

/** What the search answers: items, or words where there are none. */
export type SearchResult =
  | { items: { sku: string; quantity: number; status: string }[]; total: number }
  | { message: string };

/**
 * Finds the stock of an article in a warehouse, without what is decommissioned. Both values are bound parameters,
 * whatever they hold. Throws ToolError where the database does not answer.
 */
export async function searchInventory(client: PrismaClient, sku: string, warehouse: string): Promise<SearchResult> {
  const items = await client.inventory
    .findMany({
      where: { sku, warehouse, status: { not: "DECOMMISSIONED" } },
      select: { sku: true, quantity: true, status: true },
      orderBy: { id: "asc" },
    })
    .catch((reason: unknown) => {
      throw new ToolError("The inventory database did not answer. Try again later.", { cause: reason });
    });
  if (items.length === 0) {
    return { message: `No active inventory found for SKU ${sku} at ${warehouse}.` };
  }
  return { items, total: items.length };
}
