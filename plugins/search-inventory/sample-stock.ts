/** One row of the inventory table. */
export interface StockRow {
  readonly sku: string;
  readonly warehouse: string;
  readonly bin: string;
  readonly quantity: number;
  readonly status: "ACTIVE" | "LOW_STOCK" | "OUT_OF_STOCK" | "DECOMMISSIONED";
}

const families = ["BAG", "CAM", "DESK", "LAMP", "MUG", "SOFA", "TV", "USB"] as const;
const warehouses = ["US-WEST", "US-EAST", "EU-CENTRAL"] as const;
const articlesPerFamily = 25;

/** Generates realistic, deterministic stock: 8 families of 25 articles, in up to three warehouses, some in two bins. */
export function sampleStock(): StockRow[] {
  const rows: StockRow[] = [
    { sku: "SKU-8842", warehouse: "EU-CENTRAL", bin: "A-01", quantity: 145, status: "ACTIVE" },
    { sku: "SKU-8842", warehouse: "US-WEST", bin: "A-01", quantity: 12, status: "ACTIVE" },
    { sku: "SKU-8842", warehouse: "US-WEST", bin: "Q-09", quantity: 4, status: "DECOMMISSIONED" },
  ];
  for (const [family, name] of families.entries()) {
    for (let article = 0; article < articlesPerFamily; article += 1) {
      for (const [index, warehouse] of warehouses.entries()) {
        const mixed = (family * 7919 + article * 104_729 + index * 1_299_709) % 1000;
        if (mixed % 6 === 5) {
          continue;
        }
        const sku = `${name}-${1001 + article}`;
        rows.push(rowOf(sku, warehouse, `A-${twoDigits(article + 1)}`, mixed));
        if (mixed % 4 === 0) {
          rows.push(rowOf(sku, warehouse, `B-${twoDigits(article + 1)}`, (mixed * 37) % 1000));
        }
      }
    }
  }
  return rows;
}

function rowOf(sku: string, warehouse: string, bin: string, mixed: number): StockRow {
  if (mixed % 11 === 0) {
    return { sku, warehouse, bin, quantity: mixed % 30, status: "DECOMMISSIONED" };
  }
  const quantity = mixed % 7 === 0 ? 0 : mixed % 5 === 0 ? 1 + (mixed % 9) : 10 + (mixed % 490);
  return {
    sku,
    warehouse,
    bin,
    quantity,
    status: quantity === 0 ? "OUT_OF_STOCK" : quantity < 10 ? "LOW_STOCK" : "ACTIVE",
  };
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}
