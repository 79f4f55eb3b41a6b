import { createPostgresJobQueue } from "../../src/jobs/drivers/postgres.ts";
import { openPostgresStore } from "../../src/store/postgres.ts";
import type { PostgresStore } from "../../src/store/postgres.ts";
import { postgresMissing, startPostgres } from "../support/postgres-server.ts";
import { jobConformance } from "./conformance.ts";

jobConformance(
  "the job queue in PostgreSQL",
  async () => {
    const server = await startPostgres();
    const stores: PostgresStore[] = [];
    return {
      open: async () => {
        const store = await openPostgresStore({ url: server.url });
        stores.push(store);
        return createPostgresJobQueue(store);
      },
      die: async (_queue, working) => await working.stop(AbortSignal.abort()),
      close: async () => {
        for (const store of stores) await store.close();
        await server.close();
      },
    };
  },
  { unavailable: postgresMissing() },
);
