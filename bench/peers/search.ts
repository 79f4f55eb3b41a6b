import { Ajv } from "ajv";

/** The arguments of `search_inventory`, which every program here validates. */
export const inputSchema = {
  type: "object",
  properties: {
    sku: { type: "string", pattern: "^[A-Z]{2,4}-\\d{3,6}$" },
    warehouse: { type: "string", enum: ["US-WEST", "US-EAST", "EU-CENTRAL"] },
  },
  required: ["sku", "warehouse"],
  additionalProperties: false,
} as const;

/** The answer that every program here gives. */
export const found = { items: [{ sku: "SKU-8842", quantity: 150, status: "ACTIVE" }], total: 1 };

/** Validates arguments and answers: what a route by hand does. Throws on arguments that do not fit. */
export function createSearch(): (args: unknown) => typeof found {
  const validate = new Ajv({ allErrors: true }).compile(inputSchema);
  return (args) => {
    if (!validate(args)) throw new Error("Invalid arguments");
    return found;
  };
}
