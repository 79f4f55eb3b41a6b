import { nameFrom } from "./people.ts";
import { createRandom } from "./random.ts";

/** An order. */
export interface Order {
  readonly id: string;
  readonly status: "processing" | "shipped" | "out_for_delivery" | "delivered" | "cancelled";
  /** A date, `YYYY-MM-DD`; null for a cancelled order. */
  readonly estimated_delivery: string | null;
  readonly customer: string;
  readonly total: number;
  readonly currency: string;
}

/** How urgent a ticket is. */
export type Priority = "low" | "medium" | "high" | "urgent";

/** A support ticket. */
export interface Ticket {
  readonly id: string;
  readonly subject: string;
  readonly customer: string;
  readonly status: "open" | "pending" | "solved";
  readonly priority: Priority;
}

/** A customer's balance: negative if the customer owes money. */
export interface Customer {
  readonly id: string;
  readonly name: string;
  readonly balance: number;
  readonly currency: "EUR" | "USD" | "GBP" | "CHF";
}

/** Stock of one product in one warehouse. */
export interface Stock {
  readonly product_id: string;
  readonly warehouse: string;
  readonly quantity: number;
  readonly status: "in_stock" | "low_stock" | "out_of_stock";
}

/** The initial records of the back office, by id. */
export interface BackOfficeRecords {
  readonly orders: ReadonlyMap<string, Order>;
  readonly tickets: ReadonlyMap<string, Ticket>;
  readonly customers: ReadonlyMap<string, Customer>;
  /** By `PRODUCT WAREHOUSE`. */
  readonly stock: ReadonlyMap<string, Stock>;
}

const warehouses = ["US-WEST", "US-EAST", "EU-CENTRAL"] as const;
const firstDay = Date.UTC(2026, 10, 1);
const dayMs = 86_400_000;

/** Generates the same few hundred orders, tickets, customers and stock figures each time. */
export function createBackOfficeRecords(): BackOfficeRecords {
  return { orders: makeOrders(), tickets: makeTickets(), customers: makeCustomers(), stock: makeStock() };
}

/** Returns the key of a product's stock in a warehouse. */
export function stockKey(productId: string, warehouse: string): string {
  return `${productId} ${warehouse.toUpperCase()}`;
}

function makeOrders(): Map<string, Order> {
  const random = createRandom("orders");
  const numbers = Array.from({ length: 250 }, (_, index) => `ORD-${1001 + index}`);
  const hashed = Array.from({ length: 150 }, () => `#W${random.between(1_000_000, 9_999_999)}`);
  const orders = new Map<string, Order>();
  for (const id of [...numbers, ...hashed]) {
    const status = random.pick<Order["status"]>([
      "processing",
      "shipped",
      "shipped",
      "out_for_delivery",
      "delivered",
      "cancelled",
    ]);
    orders.set(id, {
      id,
      status,
      estimated_delivery: status === "cancelled" ? null : day(random.between(0, 60)),
      customer: nameFrom(random),
      total: random.between(990, 89_900) / 100,
      currency: random.pick(["EUR", "USD", "GBP"]),
    });
  }
  orders.set("ORD-1001", {
    id: "ORD-1001",
    status: "shipped",
    estimated_delivery: "2026-12-04",
    customer: "Jürgen Müller",
    total: 129.9,
    currency: "EUR",
  });
  orders.set("#W2378156", {
    id: "#W2378156",
    status: "out_for_delivery",
    estimated_delivery: "2026-12-01",
    customer: "Zoë García",
    total: 54.5,
    currency: "USD",
  });
  return orders;
}

function makeTickets(): Map<string, Ticket> {
  const random = createRandom("tickets");
  return new Map(
    Array.from({ length: 300 }, (_, index): [string, Ticket] => {
      const id = `TCK-${2001 + index}`;
      return [
        id,
        {
          id,
          subject: random.pick([
            "Parcel has not arrived",
            "Rückgabe der Bestellung",
            "Invoice shows the wrong address",
            "Cannot sign in",
            "Refund is missing",
            "Wrong size delivered",
            "Garantiefall Kaffeemühle",
            "Change of the delivery date",
          ]),
          customer: nameFrom(random),
          status: random.pick(["open", "open", "pending", "solved"]),
          priority: random.pick(["low", "medium", "medium", "high", "urgent"]),
        },
      ];
    }),
  );
}

function makeCustomers(): Map<string, Customer> {
  const random = createRandom("customers");
  const customers = new Map(
    Array.from({ length: 250 }, (_, index): [string, Customer] => {
      const id = `CUST-${3001 + index}`;
      return [
        id,
        {
          id,
          name: nameFrom(random),
          balance: random.between(-25_000, 120_000) / 100,
          currency: random.pick(["EUR", "USD", "GBP", "CHF"]),
        },
      ];
    }),
  );
  customers.set("CUST-3001", { id: "CUST-3001", name: "Jürgen Müller", balance: 182.4, currency: "EUR" });
  return customers;
}

function makeStock(): Map<string, Stock> {
  const random = createRandom("stock");
  const stock = new Map<string, Stock>();
  for (let number = 8800; number < 8920; number += 1) {
    for (const warehouse of warehouses) {
      const quantity = random.pick([0, random.between(1, 9), random.between(10, 600), random.between(10, 600)]);
      stock.set(stockKey(`SKU-${number}`, warehouse), stockOf(`SKU-${number}`, warehouse, quantity));
    }
  }
  stock.set(stockKey("SKU-8842", "EU-CENTRAL"), stockOf("SKU-8842", "EU-CENTRAL", 145));
  return stock;
}

function stockOf(productId: string, warehouse: string, quantity: number): Stock {
  const status = quantity === 0 ? "out_of_stock" : quantity < 10 ? "low_stock" : "in_stock";
  return { product_id: productId, warehouse, quantity, status };
}

function day(offset: number): string {
  return new Date(firstDay + offset * dayMs).toISOString().slice(0, 10);
}
