import { createHash, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { PrismaClient } from "./generated/client.ts";
import { sampleStock } from "./sample-stock.ts";

const migration = "20261121000000_create_inventory";
// The advisory lock of Prisma's own migrations, so that both exclude each other.
const migrationLock = 72_707_369;

/**
 * Applies the migration if the table is missing, and records it as `prisma migrate deploy` does. Sample stock goes only
 * into a table that this call created. Several processes may call it concurrently. If the table exists, the function
 * needs read access only.
 */
export async function createTable(client: PrismaClient, sampleData: boolean): Promise<void> {
  if (await tableExists(client)) {
    return;
  }
  const sql = await migrationText();
  await client.$transaction(
    async (transaction) => {
      await transaction.$queryRaw`SELECT pg_advisory_xact_lock(${migrationLock}::bigint)::text`;
      if (await tableExists(transaction)) {
        return;
      }
      for (const statement of sql.split(/;\s*\n/).filter((text) => text.trim() !== "")) {
        await transaction.$executeRawUnsafe(statement);
      }
      await note(transaction, sql);
      if (sampleData) {
        await transaction.inventory.createMany({ data: sampleStock(), skipDuplicates: true });
      }
    },
    { maxWait: 10_000, timeout: 20_000 },
  );
}

type Queries = Pick<PrismaClient, "$queryRaw" | "$executeRaw">;

// Queries the catalogue instead of calling to_regclass(), which may answer from a cache that is older than the lock.
async function tableExists(client: Queries): Promise<boolean> {
  const rows = await client.$queryRaw<{ present: boolean }[]>`SELECT EXISTS (
    SELECT 1 FROM pg_catalog.pg_tables WHERE tablename = 'Inventory' AND schemaname = ANY (current_schemas(false))
  ) AS present`;
  return rows[0]?.present === true;
}

async function note(transaction: Queries, sql: string): Promise<void> {
  await transaction.$executeRaw`CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
    id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL, finished_at TIMESTAMPTZ,
    migration_name VARCHAR(255) NOT NULL, logs TEXT, rolled_back_at TIMESTAMPTZ,
    started_at TIMESTAMPTZ NOT NULL DEFAULT now(), applied_steps_count INTEGER NOT NULL DEFAULT 0)`;
  const checksum = createHash("sha256").update(sql).digest("hex");
  await transaction.$executeRaw`INSERT INTO "_prisma_migrations"
    (id, checksum, finished_at, migration_name, applied_steps_count)
    VALUES (${randomUUID()}, ${checksum}, now(), ${migration}, 1)`;
}

/** Resolves the file through the package itself, which works in the repository and in the published package. */
function migrationText(): Promise<string> {
  const packageFile = createRequire(import.meta.url).resolve("@jackfield/search-inventory/package.json");
  return readFile(join(dirname(packageFile), "prisma", "migrations", migration, "migration.sql"), "utf8");
}
