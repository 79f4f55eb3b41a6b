import { defineTool, path, ToolError } from "jackfield/plugin";

/** Looks up the stock of a product in a warehouse: `GET {baseUrl}/inventory/{product_id}?warehouse=`. */
export default defineTool({
  name: "check_inventory",
  description: "Check stock levels for a product in a specific warehouse.",
  inputSchema: {
    type: "object",
    properties: {
      product_id: {
        type: "string",
        minLength: 1,
        maxLength: 64,
        description: "Unique product identifier, such as SKU-8842.",
      },
      warehouse: {
        type: "string",
        minLength: 1,
        maxLength: 64,
        description: "Warehouse location code, such as EU-CENTRAL.",
      },
    },
    required: ["product_id", "warehouse"],
    additionalProperties: false,
  },
  outputSchema: {
    type: "object",
    properties: {
      product_id: { type: "string" },
      warehouse: { type: "string" },
      quantity: { type: "number" },
      status: { type: "string" },
    },
    required: ["product_id", "warehouse", "quantity", "status"],
    additionalProperties: false,
  },
  configSchema: {
    type: "object",
    properties: {
      baseUrl: {
        type: "string",
        format: "uri",
        env: "EXTERNAL_API_BASE_URL",
        sandbox: "backOffice",
        description: "URL of the inventory API, without /inventory.",
      },
      apiKey: {
        type: "string",
        secret: true,
        env: "EXTERNAL_API_KEY",
        description: "Sent as a bearer token. Without it, no Authorization header is sent.",
      },
    },
    required: ["baseUrl"],
    additionalProperties: false,
  },
  effect: "read",
  timeoutMs: 10_000,

  async execute({ product_id, warehouse }, { http, config }) {
    const response = await http(config.baseUrl.replace(/\/+$/, "") + path`/inventory/${product_id}`, {
      query: { warehouse },
      headers: config.apiKey === undefined ? {} : { authorization: `Bearer ${config.apiKey}` },
    });
    const { quantity, status } = response.json<Record<string, unknown> | null>() ?? {};
    if (!isNumber(quantity) || typeof status !== "string") {
      throw new ToolError("The inventory system gave an answer without quantity and status.");
    }
    return { product_id, warehouse, quantity, status };
  },
});

/** Reports whether a value is a number. One with more digits than a double is a `Number` object (see `json()`). */
function isNumber(value: unknown): value is number {
  return typeof (Object(value) as object).valueOf() === "number";
}
