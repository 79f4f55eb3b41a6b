import { ToolError } from "jackfield/plugin";
import type { PrismaClient } from "./generated/client.ts";

/** The result of a search: items, or a message when there are none. */
export type SearchResult =
  | { items: { sku: string; quantity: number; status: string }[]; total: number }
  | { message: string };

/**
 * Finds the stock of an article in a warehouse, except decommissioned stock. Both values are bound parameters, so no text
 * in them is read as SQL. Throws a ToolError when the database does not answer.
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
