import { defineTool, path, ToolError } from "jackfield/plugin";

/** Looks up a customer's balance: `GET {baseUrl}/customers/{customer_id}/balance`. */
export default defineTool({
  name: "fetch_customer_balance",
  description: "Look up the current account balance of a customer by the customer's id.",
  inputSchema: {
    type: "object",
    properties: {
      customer_id: {
        type: "string",
        minLength: 1,
        maxLength: 64,
        description: "The customer's id, such as CUST-3001.",
      },
    },
    required: ["customer_id"],
    additionalProperties: false,
  },
  outputSchema: {
    type: "object",
    properties: {
      customer_id: { type: "string" },
      balance: { type: "number", description: "In units of the currency; below zero the customer owes it." },
      currency: { type: "string" },
    },
    required: ["customer_id", "balance", "currency"],
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
        description: "URL of the customer API, without /customers.",
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

  async execute({ customer_id }, { http, config }) {
    const response = await http(config.baseUrl.replace(/\/+$/, "") + path`/customers/${customer_id}/balance`, {
      headers: config.apiKey === undefined ? {} : { authorization: `Bearer ${config.apiKey}` },
    });
    const { balance, currency } = response.json<Record<string, unknown> | null>() ?? {};
    if (!isNumber(balance) || typeof currency !== "string") {
      throw new ToolError("The customer system gave an answer without balance and currency.");
    }
    return { customer_id, balance, currency };
  },
});

/** Reports whether a value is a number. One with more digits than a double is a `Number` object (see `json()`). */
function isNumber(value: unknown): value is number {
  return typeof (Object(value) as object).valueOf() === "number";
}
