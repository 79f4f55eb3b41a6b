import { createBackOfficeRecords, type Priority, stockKey } from "./back-office-records.ts";
import { SandboxHttpError, type Routes, type SandboxAnswer, type SandboxRequest } from "./part.ts";

/** A performed change of a ticket's priority. */
interface Effect {
  readonly ticket_id: string;
  readonly priority: Priority;
  readonly idempotency_key: string | null;
}

const maxEffects = 100_000;
const priorities: readonly string[] = ["low", "medium", "high", "urgent"] satisfies Priority[];

/**
 * Creates the routes of the back office: `GET /orders/:id`, `GET` and `PATCH /tickets/:id`, `GET
 * /customers/:id/balance`, `GET /inventory/:product?warehouse=`, and `GET /_effects`, which lists every performed
 * change. A PATCH that repeats an `Idempotency-Key` changes nothing and returns the first answer.
 */
export function createBackOfficeRoutes(): Routes {
  const records = createBackOfficeRecords();
  const tickets = new Map(records.tickets);
  const effects: Effect[] = [];
  const answersByKey = new Map<string, { readonly request: string; readonly answer: SandboxAnswer }>();
  let total = 0;

  const change = (ticketId: string, priority: Priority, key: string | undefined): SandboxAnswer => {
    const ticket = { ...known(tickets, ticketId, "ticket"), priority };
    tickets.set(ticketId, ticket);
    total += 1;
    effects.push({ ticket_id: ticketId, priority, idempotency_key: key ?? null });
    if (effects.length > maxEffects) {
      effects.shift();
    }
    return { body: { id: ticket.id, priority: ticket.priority, status: ticket.status } };
  };

  return {
    "GET /orders/:order_id": ({ params }) => ({ body: known(records.orders, params["order_id"], "order") }),
    "GET /tickets/:ticket_id": ({ params }) => {
      const ticket = known(tickets, params["ticket_id"], "ticket");
      const updates = effects.filter((effect) => effect.ticket_id === ticket.id);
      return {
        body: { ...ticket, updates: updates.map(({ priority, idempotency_key }) => ({ priority, idempotency_key })) },
      };
    },
    "PATCH /tickets/:ticket_id": (request) => {
      const ticketId = request.params["ticket_id"] ?? "";
      const priority = priorityFrom(request);
      const key = keyFrom(request);
      const description = JSON.stringify([ticketId, priority]);
      const before = key === undefined ? undefined : answersByKey.get(key);
      if (before !== undefined && before.request !== description) {
        throw new SandboxHttpError(422, "This Idempotency-Key was already used with another request");
      }
      if (before !== undefined) {
        return { ...before.answer, headers: { "idempotent-replayed": "true" } };
      }
      const answer = change(ticketId, priority, key);
      if (key !== undefined) {
        answersByKey.set(key, { request: description, answer });
        const oldest = answersByKey.keys().next().value;
        if (answersByKey.size > maxEffects && oldest !== undefined) {
          answersByKey.delete(oldest);
        }
      }
      return answer;
    },
    "GET /customers/:customer_id/balance": ({ params }) => {
      const customer = known(records.customers, params["customer_id"], "customer");
      return {
        body: { customer_id: customer.id, name: customer.name, balance: customer.balance, currency: customer.currency },
      };
    },
    "GET /inventory/:product_id": ({ params, query }) => {
      const warehouse = query.get("warehouse");
      if (warehouse === null || warehouse === "") {
        throw new SandboxHttpError(400, "The query parameter warehouse is missing");
      }
      const stock = records.stock.get(stockKey(params["product_id"] ?? "", warehouse));
      if (stock === undefined) {
        throw new SandboxHttpError(404, `No product ${params["product_id"]} in warehouse ${warehouse}`);
      }
      return { body: stock };
    },
    "GET /_effects": () => ({ body: { total, effects } }),
  };
}

function known<T>(records: ReadonlyMap<string, T>, id: string | undefined, noun: string): T {
  const found = records.get(id ?? "");
  if (found === undefined) {
    throw new SandboxHttpError(404, `No ${noun} ${id}`);
  }
  return found;
}

function priorityFrom(request: SandboxRequest): Priority {
  const body = request.json();
  const priority = typeof body === "object" && body !== null && "priority" in body ? body.priority : undefined;
  if (typeof priority !== "string" || !priorities.includes(priority)) {
    throw new SandboxHttpError(422, `priority must be one of ${priorities.join(", ")}`);
  }
  return priority as Priority;
}

function keyFrom(request: SandboxRequest): string | undefined {
  const header = request.headers["idempotency-key"];
  return Array.isArray(header) ? header[0] : header;
}
