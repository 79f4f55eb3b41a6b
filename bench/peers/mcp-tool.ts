import { z } from "zod";
import { found } from "./search.ts";

/** The arguments of `read_inventory` as the official servers check them: once, with zod, as strictly as all peers. */
export const inputShape = {
  sku: z.string().regex(/^[A-Z]{2,4}-\d{3,6}$/),
  warehouse: z.enum(["US-WEST", "US-EAST", "EU-CENTRAL"]),
};

/** The tool's definition besides its arguments. */
export const declared = { description: "Answers at once.", annotations: { readOnlyHint: true } };

/** Returns the answer as text and as structured content. */
export function answer(): { content: [{ type: "text"; text: string }]; structuredContent: Record<string, unknown> } {
  return { content: [{ type: "text", text: JSON.stringify(found) }], structuredContent: found };
}
