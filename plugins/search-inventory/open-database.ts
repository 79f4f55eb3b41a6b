import type { PrismaClient } from "./generated/client.ts";
import { createTable } from "./create-table.ts";
import { initialiseFolder, initialiseMemory } from "./initialise.ts";

/** Which database, and whether a table that is created gets sample stock. */
export interface DatabaseConfig {
  /** PostgreSQL; undefined: the embedded database. */
  readonly databaseUrl?: string;
  /** Folder of the embedded database; undefined: in memory. */
  readonly dataDir?: string;
  /** Fill a table that is created in the embedded database with sample stock. True by default. */
  readonly sampleData?: boolean;
  /** Create the table where it is missing; true by default. */
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
 * Connects to PostgreSQL or opens the embedded database, and creates the table where it is missing. Prisma and PGlite
 * are loaded here and not before: they are large, and nobody else should wait for them.
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
