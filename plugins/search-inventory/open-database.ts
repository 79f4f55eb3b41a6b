import type { PrismaClient } from "./generated/client.ts";
import { createTable } from "./create-table.ts";
import { initialiseFolder, initialiseMemory } from "./initialise.ts";

/** Selects the database, and whether a newly created table is filled with sample stock. */
export interface DatabaseConfig {
  /** URL of the PostgreSQL server. Undefined selects the embedded database. */
  readonly databaseUrl?: string;
  /** Folder of the embedded database. Undefined keeps it in memory. */
  readonly dataDir?: string;
  /** Fills a newly created table of the embedded database with sample stock; true by default. */
  readonly sampleData?: boolean;
  /** Creates the table if it is missing; true by default. */
  readonly create?: boolean;
}

/** An open database. */
export interface OpenDatabase {
  readonly client: PrismaClient;
  close(): Promise<void>;
}

const connectTimeoutMs = 3000;
const statementTimeoutMs = 5000;

/**
 * Connects to PostgreSQL or opens the embedded database, and creates the table if it is missing. Prisma and PGlite are
 * imported here, on first use: they are large, and other tools should not wait for them.
 */
export async function openDatabase(config: DatabaseConfig): Promise<OpenDatabase> {
  const database =
    config.databaseUrl === undefined ? await openEmbedded(config.dataDir) : await openPostgres(config.databaseUrl);
  try {
    if (config.create === false) {
      await database.client.$connect();
    } else {
      await createTable(database.client, config.databaseUrl === undefined && (config.sampleData ?? true));
    }
    return database;
  } catch (reason) {
    await database.close();
    throw reason;
  }
}

async function openPostgres(connectionString: string): Promise<OpenDatabase> {
  const [{ PrismaClient }, { PrismaPg }] = await Promise.all([
    import("./generated/client.ts"),
    import("@prisma/adapter-pg"),
  ]);
  const adapter = new PrismaPg({
    connectionString,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs,
    application_name: "jackfield",
  });
  const client = new PrismaClient({ adapter });
  return { client, close: () => client.$disconnect() };
}

async function openEmbedded(dataDir: string | undefined): Promise<OpenDatabase> {
  const [{ PrismaClient }, { PrismaPGlite }, { PGlite }] = await Promise.all([
    import("./generated/client.ts"),
    import("pglite-prisma-adapter"),
    import("@electric-sql/pglite"),
  ]);
  if (dataDir !== undefined) {
    await initialiseFolder(dataDir);
  }
  const database =
    dataDir === undefined
      ? await PGlite.create({ loadDataDir: await initialiseMemory() })
      : await PGlite.create(dataDir);
  const client = new PrismaClient({ adapter: new PrismaPGlite(database) });
  return {
    client,
    async close() {
      await client.$disconnect();
      if (!database.closed) {
        await database.close();
      }
    },
  };
}
