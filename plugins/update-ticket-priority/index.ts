import { setTimeout as delay } from "node:timers/promises";
import { defineTool, path, ToolError } from "jackfield/plugin";

/** Sets a ticket's priority: `PATCH {baseUrl}/tickets/{ticket_id}` with `{priority}` and an `Idempotency-Key`. */
export default defineTool({
  name: "update_ticket_priority",
  description: "Change the priority of a support ticket.",
  inputSchema: {
    type: "object",
    properties: {
      ticket_id: { type: "string", minLength: 1, maxLength: 64, description: "The ticket's id, such as TCK-2001." },
      priority: { type: "string", enum: ["low", "medium", "high", "urgent"], description: "The new priority." },
    },
    required: ["ticket_id", "priority"],
    additionalProperties: false,
  },
  outputSchema: {
    type: "object",
    properties: { ticket_id: { type: "string" }, priority: { type: "string" }, status: { type: "string" } },
    required: ["ticket_id", "priority", "status"],
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
        description: "URL of the ticket API, without /tickets.",
      },
      apiKey: {
        type: "string",
        secret: true,
        env: "EXTERNAL_API_KEY",
        description: "Sent as a bearer token. Without it, no Authorization header is sent.",
      },
      settledAfterMs: {
        type: "integer",
        minimum: 1,
        description:
          "Time in milliseconds after which an update that was sent has happened or never will; 60000 by default.",
      },
    },
    required: ["baseUrl"],
    additionalProperties: false,
  },
  effect: "write",
  timeoutMs: 10_000,

  async execute({ ticket_id, priority }, { http, config, idempotencyKey }) {
    const response = await http(ticketUrl(config, ticket_id), {
      method: "PATCH",
      headers: authorization(config),
      json: { priority },
      idempotencyKey,
    });
    const ticket = recordFrom(response.json());
    if (typeof ticket["priority"] !== "string" || typeof ticket["status"] !== "string") {
      throw new ToolError(
        "The ticket system gave an answer without priority and status. Check the ticket before trying again.",
      );
    }
    return { ticket_id, priority: ticket["priority"], status: ticket["status"] };
  },

  // The right priority alone proves nothing: somebody else may have set it. Proof is a ticket that lists its updates with
  // their Idempotency-Keys. A missing update may still be in transit: the tool looks again, and answers "not-done" only
  // when the update can no longer arrive.
  async reconcile({ args, idempotencyKey, startedAt }, { http, config, signal }) {
    const url = ticketUrl(config, args.ticket_id);
    for (let look = 0; ; look++) {
      const response = await http(url, { headers: authorization(config) });
      const { status, updates } = recordFrom(response.json());
      if (!Array.isArray(updates) || typeof status !== "string") return "unknown";
      if (updates.some((update) => recordFrom(update)["idempotency_key"] === idempotencyKey)) {
        return { result: { ticket_id: args.ticket_id, priority: args.priority, status } };
      }
      const elapsedMs = Date.now() - startedAt.getTime();
      if (elapsedMs > (config.settledAfterMs ?? defaultSettledAfterMs)) return "not-done";
      if (look === looks) return "unknown";
      await delay(pauseMs, undefined, { signal });
    }
  },
});

/** Number of further looks for a missing update, and the pause before each in milliseconds. */
const looks = 4;
const pauseMs = 1000;

/** See `settledAfterMs` of the configuration. */
const defaultSettledAfterMs = 60_000;

function ticketUrl(config: { readonly baseUrl: string }, ticketId: string): string {
  return config.baseUrl.replace(/\/+$/, "") + path`/tickets/${ticketId}`;
}

function authorization(config: { readonly apiKey?: string }): Record<string, string> {
  return config.apiKey === undefined ? {} : { authorization: `Bearer ${config.apiKey}` };
}

function recordFrom(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
