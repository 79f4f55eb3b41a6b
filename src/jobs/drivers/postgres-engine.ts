import { createPostgresBackend, withBackend } from "bullmq";
import type { StoredJob } from "../job-codec.ts";
import { StoreUnavailableError } from "../../store/store-errors.ts";
import { statementTimeoutMs } from "../../store/postgres.ts";
import type { PostgresStore } from "../../store/postgres.ts";
import { queueName } from "./engine.ts";
import type { JobEngine, JobIndex } from "./engine.ts";

const schema = `
CREATE SCHEMA IF NOT EXISTS jackfield;
CREATE TABLE IF NOT EXISTS jackfield.job_index (place bigserial PRIMARY KEY, tenant text NOT NULL, id text NOT NULL UNIQUE);
CREATE INDEX IF NOT EXISTS job_index_tenant ON jackfield.job_index (tenant, place);
`;

const onPostgres = withBackend(createPostgresBackend);

/** BullMQ on a PostgreSQL server, in a schema of its own. Closing it leaves the store open. */
export function createPostgresEngine(store: PostgresStore): JobEngine {
  const connection = {
    connectionString: store.url,
    schema: "jackfield_bullmq",
    migrate: true,
    max: 8,
    connectionTimeoutMillis: statementTimeoutMs,
    keepAlive: true,
  };
  const withTimeout = { ...connection, query_timeout: statementTimeoutMs };
  let queue = createQueue();
  let migrated: Promise<unknown> | undefined;

  function createQueue(): InstanceType<typeof onPostgres.Queue<StoredJob>> {
    const fresh = new onPostgres.Queue<StoredJob>(queueName, { connection: withTimeout, skipWaitingForReady: true });
    fresh.on("error", () => {
      // Told by the store, which asks the server twice a second.
    });
    return fresh;
  }

  /** A queue that could not reach its server at the start never gets ready: it is replaced. */
  async function ready(): Promise<void> {
    migrated ??= Promise.all([store.migrate(schema), queue.waitUntilReady()]);
    try {
      await migrated;
    } catch (cause) {
      migrated = undefined;
      const broken = queue;
      queue = createQueue();
      await broken.close().catch(() => {});
      throw new StoreUnavailableError(cause instanceof Error ? cause.message : String(cause), {
        untouched: true,
        cause,
      });
    }
  }

  const ask: JobEngine["ask"] = (run) =>
    store.ask(async () => {
      await ready();
      return await run();
    });

  return {
    get queue() {
      return queue;
    },
    index: createPostgresIndex(store),
    createWorker(processor, options) {
      const worker = new onPostgres.Worker<StoredJob>(queueName, processor, { ...options, connection });
      worker.on("error", () => {
        // Told by the store as well: the worker tries again by itself.
      });
      return worker;
    },
    freeWorker: async () => {},
    ask,
    async ping() {
      await ask(() => store.ping());
    },
    async close() {
      await queue.close();
    },
  };
}

function createPostgresIndex(store: PostgresStore): JobIndex {
  return {
    async add(tenant, id) {
      const added = await store.query(
        "INSERT INTO jackfield.job_index (tenant, id) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING RETURNING id",
        [tenant, id],
      );
      return added.length === 1;
    },
    async page(tenant, before, size) {
      return await store.query<{ id: string; place: string }>(
        `SELECT id, place FROM jackfield.job_index WHERE tenant = $1 AND ($2 = '' OR place < nullif($2, '')::bigint)
          ORDER BY place DESC LIMIT $3`,
        [tenant, /^\d{0,18}$/.test(before) ? before : "0", size],
      );
    },
    async remove(ids) {
      if (ids.length > 0) await store.query("DELETE FROM jackfield.job_index WHERE id = ANY($1)", [ids]);
    },
  };
}
