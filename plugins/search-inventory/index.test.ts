import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTool } from "jackfield/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import searchInventoryTool from "./index.ts";
import { createInventory, type Inventory } from "./inventory.ts";
import { openDatabase } from "./open-database.ts";
import { sampleStock } from "./sample-stock.ts";
import { searchInventory } from "./search.ts";

const hostile = [
  'x\'; DROP TABLE "Inventory"; --',
  "' OR '1'='1",
  "SKU-8842' OR 1=1 --",
  "%",
  "_".repeat(8),
  "\\",
  "$1",
  '{"$ne":null}',
  "<script>alert(1)</script>",
  "${7*7}",
  "SKU-8842\u0000",
  "日本🙂\u202e",
];

// Making an embedded database takes seconds, more on a busy machine.
describe("the tool on the embedded database", { timeout: 60_000 }, () => {
  test("finds active stock, omits decommissioned stock, and reports an unknown product", async () => {
    await using tool = await startTool(searchInventoryTool, { config: {} });
    await tool.ready();
    const found = await tool.call({ sku: "SKU-8842", warehouse: "US-WEST" });
    expect(found.outcome).toBe("OK");
    expect(found.output).toBe('{"items":[{"sku":"SKU-8842","quantity":12,"status":"ACTIVE"}],"total":1}');

    const missing = await tool.call({ sku: "AB-999999", warehouse: "EU-CENTRAL" });
    expect(missing.outcome).toBe("OK");
    expect(missing.output).toBe('{"message":"No active inventory found for SKU AB-999999 at EU-CENTRAL."}');

    for (const args of [
      { sku: "sku-8842", warehouse: "US-WEST" },
      { sku: "SKU-8842", warehouse: "MARS" },
      { sku: "SKU-8842" },
      { sku: "SKU-8842", warehouse: "US-WEST", all: true },
      { sku: 'x\'; DROP TABLE "Inventory"; --', warehouse: "US-WEST" },
    ]) {
      expect((await tool.call(args)).outcome).toBe("INVALID_ARGUMENTS");
    }
  });

  test("keeps changes when the folder is opened again, and adds no sample rows twice", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "inventory-"));
    try {
      const first = await openDatabase({ dataDir });
      await first.client.inventory.updateMany({
        where: { sku: "SKU-8842", warehouse: "EU-CENTRAL" },
        data: { quantity: 7 },
      });
      const rows = await first.client.inventory.count();
      await first.close();
      const second = await openDatabase({ dataDir });
      expect(await searchInventory(second.client, "SKU-8842", "EU-CENTRAL")).toEqual({
        items: [{ sku: "SKU-8842", quantity: 7, status: "ACTIVE" }],
        total: 1,
      });
      expect(await second.client.inventory.count()).toBe(rows);
      await second.close();
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  });
});

test(
  "recreates a folder whose creation was interrupted, and leaves a folder with other files alone",
  { timeout: 60_000 },
  async () => {
    const parent = await mkdtemp(join(tmpdir(), "inventory-"));
    try {
      const dataDir = join(parent, "broken-off");
      await mkdir(`${dataDir}.new`);
      await writeFile(join(`${dataDir}.new`, "PG_VERSION"), "half of a database");
      const database = await openDatabase({ dataDir });
      expect(await searchInventory(database.client, "SKU-8842", "EU-CENTRAL")).toMatchObject({ total: 1 });
      await database.close();

      await writeFile(join(parent, "letter.txt"), "keep me");
      await expect(openDatabase({ dataDir: parent })).rejects.toThrow(/holds other files/);
      expect(await readFile(join(parent, "letter.txt"), "utf8")).toBe("keep me");
    } finally {
      await rm(parent, { recursive: true, force: true });
    }
  },
);

test("reports an unreachable database in readiness and in the call, without the password", async () => {
  const inventory = createInventory({ databaseUrl: "postgres://someone:geheim@127.0.0.1:9/none" });
  const message = await inventory.check().then(
    () => "",
    (reason: unknown) => String(reason),
  );
  expect(message).toMatch(/^Error: The inventory database cannot be reached: ./);
  expect(message).not.toContain("geheim");
  await expect(inventory.client()).rejects.toThrow("The inventory database cannot be reached at present.");
  await inventory.close();
});

const server = process.env["JACKFIELD_TEST_POSTGRES_URL"] ?? "postgres://postgres@127.0.0.1:5432/test";
const reachable = await openDatabase({ databaseUrl: server, sampleData: false, create: false }).then(
  async (database) => {
    await database.close();
    return true;
  },
  () => false,
);
const wanted = process.env["JACKFIELD_TEST_ALL"] === "1";

describe.skipIf(!reachable && !wanted)("on PostgreSQL (skipped where no server answers at 127.0.0.1:5432)", () => {
  const name = `jackfield_${randomUUID().replaceAll("-", "")}`;
  const databaseUrl = server.replace(/\/[^/]*$/, `/${name}`);
  let inventory: Inventory;

  const onServer = async (sql: string): Promise<void> => {
    const database = await openDatabase({ databaseUrl: server, create: false });
    await database.client.$executeRawUnsafe(sql);
    await database.close();
  };

  beforeAll(async () => {
    await onServer(`CREATE DATABASE ${name}`);
    inventory = createInventory({ databaseUrl });
    await inventory.check();
  });

  test("adds no sample rows to a configured database, whatever the settings", async () => {
    const client = await inventory.client();
    expect(await client.inventory.count()).toBe(0);
    await client.$executeRawUnsafe('DROP TABLE "Inventory"');
    await (await openDatabase({ databaseUrl, sampleData: true })).close();
    expect(await client.inventory.count()).toBe(0);
    await client.inventory.createMany({ data: sampleStock() });
  });

  afterAll(async () => {
    await inventory.close();
    await onServer(`DROP DATABASE ${name} WITH (FORCE)`);
  });

  test("gives the same answer as on the embedded database", async () => {
    expect(await searchInventory(await inventory.client(), "SKU-8842", "US-WEST")).toEqual({
      items: [{ sku: "SKU-8842", quantity: 12, status: "ACTIVE" }],
      total: 1,
    });
  });

  test("treats hostile strings as parameters: finds nothing and leaves the table intact (hazard 20)", async () => {
    const client = await inventory.client();
    const before = await client.inventory.findMany({ orderBy: { id: "asc" } });
    for (const text of hostile) {
      const inSku = await searchInventory(client, text, "US-WEST").catch((reason: unknown) => ({
        message: String(reason),
      }));
      const inWarehouse = await searchInventory(client, "SKU-8842", text).catch((reason: unknown) => ({
        message: String(reason),
      }));
      expect(inSku).not.toHaveProperty("items");
      expect(inWarehouse).not.toHaveProperty("items");
    }
    expect(await client.inventory.findMany({ orderBy: { id: "asc" } })).toEqual(before);
  });

  test("creates the table once when several processes open an empty database at the same time", async () => {
    const client = await inventory.client();
    await client.$executeRawUnsafe('DROP TABLE "Inventory"');
    await client.$executeRawUnsafe('DROP TABLE "_prisma_migrations"');
    const opened = await Promise.all([1, 2, 3].map(() => openDatabase({ databaseUrl })));
    expect(await client.inventory.count()).toBe(0);
    expect(await client.$queryRaw`SELECT migration_name FROM "_prisma_migrations"`).toHaveLength(1);
    await Promise.all(opened.map((database) => database.close()));
  });

  test("adds no sample stock to a table that existed before", async () => {
    const client = await inventory.client();
    await client.inventory.deleteMany();
    const again = await openDatabase({ databaseUrl });
    expect(await again.client.inventory.count()).toBe(0);
    await again.close();
  });
});
