import { defineTool } from "jackfield/plugin";
import { createInventory } from "./inventory.ts";
import { searchInventory } from "./search.ts";

/** Searches the inventory database, on PostgreSQL or embedded, for the active stock of an article. */
export default defineTool({
  name: "search_inventory",
  description: "Search the inventory for the active stock of an article (SKU) in one warehouse.",
  inputSchema: {
    type: "object",
    properties: {
      sku: {
        type: "string",
        pattern: "^[A-Z]{2,4}-\\d{3,6}$",
        description: "The article's SKU: 2 to 4 capital letters, a dash, 3 to 6 digits, such as SKU-8842.",
      },
      warehouse: {
        type: "string",
        enum: ["US-WEST", "US-EAST", "EU-CENTRAL"],
        description: "The warehouse to look in.",
      },
    },
    required: ["sku", "warehouse"],
    additionalProperties: false,
  },
  outputSchema: {
    type: "object",
    properties: {
      items: {
        type: "array",
        items: {
          type: "object",
          properties: { sku: { type: "string" }, quantity: { type: "integer" }, status: { type: "string" } },
          required: ["sku", "quantity", "status"],
          additionalProperties: false,
        },
      },
      total: { type: "integer", description: "Number of items found." },
      message: { type: "string", description: "Present instead of items if nothing was found." },
    },
    additionalProperties: false,
  },
  configSchema: {
    type: "object",
    properties: {
      databaseUrl: {
        type: "string",
        secret: true,
        env: "DATABASE_URL",
        schemes: ["postgres:", "postgresql:"],
        pattern: "^postgres(ql)?://",
        description:
          "PostgreSQL, such as postgres://user:password@host:5432/name. Without it the embedded database is used.",
      },
      dataDir: {
        type: "string",
        minLength: 1,
        folder: "inventory",
        description: "Folder of the embedded database. Without it, the database is in memory.",
      },
      sampleData: {
        type: "boolean",
        sandbox: "inventory",
        description:
          "Fill a table that this tool creates in the embedded database with sample stock; true by default. A database given by databaseUrl never gets any.",
      },
    },
    additionalProperties: false,
  },
  effect: "read",
  // The first call may have to wait for the embedded database to open.
  timeoutMs: 10_000,

  open: (config) => createInventory(config),
  ready: (inventory) => inventory.check(),
  close: (inventory) => inventory.close(),
  execute: async ({ sku, warehouse }, { state }) => searchInventory(await state.client(), sku, warehouse),
});
