import { Ajv } from "ajv";

/** The arguments of `search_inventory`, which every peer validates. */
export const inputSchema = {
  type: "object",
  properties: {
    sku: { type: "string", pattern: "^[A-Z]{2,4}-\\d{3,6}$" },
    warehouse: { type: "string", enum: ["US-WEST", "US-EAST", "EU-CENTRAL"] },
  },
  required: ["sku", "warehouse"],
  additionalProperties: false,
} as const;

/** The answer of every peer. */
export const found = { items: [{ sku: "SKU-8842", quantity: 150, status: "ACTIVE" }], total: 1 };

/** Creates a function that validates arguments and answers, like a route written by hand. It throws on invalid arguments. */
export function createSearch(): (args: unknown) => typeof found {
  const validate = new Ajv({ allErrors: true }).compile(inputSchema);
  return (args) => {
    if (!validate(args)) throw new Error("Invalid arguments");
    return found;
  };
}
