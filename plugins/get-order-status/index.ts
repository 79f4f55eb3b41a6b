import { defineTool, path, ToolError } from "jackfield/plugin";

/** Looks up an order: `GET {baseUrl}/orders/{order_id}`. */
export default defineTool({
  name: "get_order_status",
  description: "Look up the status and the expected delivery date of an order by its id.",
  inputSchema: {
    type: "object",
    properties: {
      order_id: {
        type: "string",
        minLength: 1,
        maxLength: 64,
        description: "The order's id exactly as the customer gives it, such as #W2378156 or ORD-1001.",
      },
    },
    required: ["order_id"],
    additionalProperties: false,
  },
  outputSchema: {
    type: "object",
    properties: {
      order_id: { type: "string" },
      status: { type: "string" },
      estimated_delivery: { type: ["string", "null"], description: "The date; null if there is none." },
      conversation_id: { type: "string" },
      session_id: { type: "string" },
    },
    required: ["order_id", "status", "estimated_delivery"],
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
        description: "URL of the order API, without /orders.",
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

  async execute({ order_id }, { http, config, conversationId, sessionId }) {
    const response = await http(config.baseUrl.replace(/\/+$/, "") + path`/orders/${order_id}`, {
      headers: config.apiKey === undefined ? {} : { authorization: `Bearer ${config.apiKey}` },
    });
    const order = orderFrom(response.json());
    return {
      order_id: order.id,
      status: order.status,
      estimated_delivery: order.estimated_delivery,
      ...(conversationId === undefined ? {} : { conversation_id: conversationId }),
      ...(sessionId === undefined ? {} : { session_id: sessionId }),
    };
  },
});

function orderFrom(body: unknown): { id: string; status: string; estimated_delivery: string | null } {
  const { id, status, estimated_delivery = null } = (body ?? {}) as Record<string, unknown>;
  if (
    typeof id !== "string" ||
    typeof status !== "string" ||
    !(typeof estimated_delivery === "string" || estimated_delivery === null)
  ) {
    throw new ToolError("The order system gave an answer without the order's id and status.");
  }
  return { id, status, estimated_delivery };
}
