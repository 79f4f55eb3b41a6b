import type { SampleCall } from "./traffic.ts";

/** Calls of the bundled tools with deterministic answers. */
export const sampleCalls: readonly [SampleCall, ...SampleCall[]] = [
  { name: "get_order_status", arguments: { order_id: "ORD-1001" } },
  { name: "get_order_status", arguments: { order_id: "#W2378156" } },
  { name: "fetch_customer_balance", arguments: { customer_id: "CUST-3001" } },
  { name: "check_inventory", arguments: { product_id: "SKU-8842", warehouse: "EU-CENTRAL" } },
  { name: "update_ticket_priority", arguments: { ticket_id: "TCK-2001", priority: "high" } },
  { name: "update_ticket_priority", arguments: { ticket_id: "TCK-2002", priority: "low" } },
  { name: "update_ticket_priority", arguments: { ticket_id: "TCK-2003", priority: "sometime" } },
  { name: "no_such_tool", arguments: {} },
];

/** Parses `NAME` or `NAME=JSON`. Throws a RangeError that describes the problem. */
export function sampleCallFrom(text: string): SampleCall {
  const [name = "", ...rest] = text.split("=");
  if (name.trim() === "")
    throw new RangeError('A call begins with the name of a tool, such as get_order_status={"order_id":"ORD-1001"}.');
  const json = rest.length === 0 ? "{}" : rest.join("=");
  let read: unknown;
  try {
    read = JSON.parse(json);
  } catch {
    throw new RangeError(`The arguments of ${name} are not JSON: ${json}`);
  }
  if (typeof read !== "object" || read === null || Array.isArray(read)) {
    throw new RangeError(`The arguments of ${name} must be a JSON object.`);
  }
  return { name: name.trim(), arguments: read as Record<string, unknown> };
}
