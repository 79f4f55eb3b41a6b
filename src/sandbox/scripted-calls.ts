/** A tool call requested by the script. */
export interface ScriptedCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

const warehouses = /\b(US-WEST|US-EAST|EU-CENTRAL)\b/i;

/** Finds the calls that fit a user's message, among the offered tools. */
export function callsFrom(text: string, offered: ReadonlySet<string>): ScriptedCall[] {
  const found = [
    ...weatherCalls(text),
    ...orderCalls(text),
    ...ticketCalls(text),
    ...balanceCalls(text),
    ...stockCalls(text, offered),
  ].filter((call) => offered.has(call.name));
  return found.length > 0 ? found : namedCalls(text, offered);
}

function weatherCalls(text: string): ScriptedCall[] {
  if (!/weather|temperature|forecast|wetter/i.test(text)) {
    return [];
  }
  const places = [...text.matchAll(/\b(?:in|for|at)\s+(?!the\b)([\p{Lu}][\p{L}'’.-]*(?:\s+[\p{Lu}][\p{L}'’.-]*)*)/gu)];
  const unit = /fahrenheit|°F/i.test(text) ? { unit: "fahrenheit" } : {};
  return places
    .map((place) => (place[1] ?? "").replace(/\.$/, ""))
    .filter((location) => !warehouses.test(location))
    .map((location) => ({ name: "get_weather", arguments: { location, ...unit } }));
}

function orderCalls(text: string): ScriptedCall[] {
  const ids = new Set([...text.matchAll(/#W\d+|\bORD-\d+/gi)].map((match) => match[0].toUpperCase()));
  for (const match of text.matchAll(/\border\s+(?:number\s+|no\.?\s+|id\s+)?(#?[\w-]*\d[\w-]*)/gi)) {
    const id = match[1] ?? "";
    ids.add(/^(#w|ord-)/i.test(id) ? id.toUpperCase() : id);
  }
  return [...ids].map((id) => ({ name: "get_order_status", arguments: { order_id: id } }));
}

function ticketCalls(text: string): ScriptedCall[] {
  const id = /\bTCK-\d+/i.exec(text)?.[0] ?? /\bticket\s+(#?[\w-]*\d[\w-]*)/i.exec(text)?.[1];
  const priority = /\b(low|medium|high|urgent)\b/i.exec(text)?.[1];
  return id === undefined || priority === undefined
    ? []
    : [
        {
          name: "update_ticket_priority",
          arguments: { ticket_id: id.toUpperCase(), priority: priority.toLowerCase() },
        },
      ];
}

function balanceCalls(text: string): ScriptedCall[] {
  const id = /\bCUST-\d+/i.exec(text)?.[0] ?? /\bcustomer\s+([\w-]*\d[\w-]*)/i.exec(text)?.[1];
  return id === undefined || !/balance|owe|credit/i.test(text)
    ? []
    : [{ name: "fetch_customer_balance", arguments: { customer_id: id.toUpperCase() } }];
}

function stockCalls(text: string, offered: ReadonlySet<string>): ScriptedCall[] {
  if (!/inventory|stock|warehouse|units|how many/i.test(text)) {
    return [];
  }
  const product = /\b(?!ORD-|TCK-|CUST-|US-|EU-)[A-Z]{2,4}-\d{3,6}\b/.exec(text)?.[0];
  const warehouse = warehouses.exec(text)?.[0]?.toUpperCase();
  if (product === undefined || warehouse === undefined) {
    return [];
  }
  const search =
    !offered.has("check_inventory") || (/\bsearch|\bSKU\s+[A-Z]/i.test(text) && offered.has("search_inventory"));
  return [
    search
      ? { name: "search_inventory", arguments: { sku: product, warehouse } }
      : { name: "check_inventory", arguments: { product_id: product, warehouse } },
  ];
}

/** Finds tools that the message calls by name, each followed by a JSON object with the arguments. */
function namedCalls(text: string, offered: ReadonlySet<string>): ScriptedCall[] {
  return [...offered].flatMap((name) => {
    const at = text.indexOf(name);
    return at === -1 ? [] : [{ name, arguments: objectAfter(text.slice(at + name.length)) }];
  });
}

function objectAfter(text: string): Record<string, unknown> {
  const start = text.indexOf("{");
  if (start === -1) {
    return {};
  }
  let end = text.indexOf("}", start);
  while (end !== -1) {
    try {
      return JSON.parse(text.slice(start, end + 1)) as Record<string, unknown>;
    } catch {
      // The brace was inside the object, which ends at a later one.
      end = text.indexOf("}", end + 1);
    }
  }
  return {};
}
