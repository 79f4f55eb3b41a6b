import { expect, onTestFinished, test, vi } from "vitest";
import { createPostgresJobQueue } from "../../src/jobs/drivers/postgres.ts";
import { statements } from "../../src/jobs/drivers/postgres-schema.ts";
import { StoreUnavailableError } from "../../src/store/store-errors.ts";
import { openPostgresStore } from "../../src/store/postgres.ts";
import type { PostgresStore } from "../../src/store/postgres.ts";
import { postgresMissing, startPostgres } from "../support/postgres-server.ts";
import { jobConformance, leaseMs } from "./conformance.ts";
import { expectLostClaimsReleased } from "./lost-claims.ts";
import { aRecord } from "./samples.ts";

jobConformance(
  "the job queue in PostgreSQL",
  async () => {
    const server = await startPostgres();
    const stores: PostgresStore[] = [];
    return {
      open: async (log) => {
        const store = await openPostgresStore({ url: server.url });
        stores.push(store);
        return createPostgresJobQueue(store, { log, leaseMs });
      },
      die: async (_queue, working) => await working.stop(AbortSignal.abort()),
      corrupt: async (id) =>
        void (await stores[0]?.query("UPDATE jackfield.jobs SET record = '{' WHERE id = $1", [id])),
      stored: async (id) => {
        const sql = "SELECT record FROM jackfield.jobs WHERE id = $1";
        return String((await stores[0]?.query<{ record: string }>(sql, [id]))?.[0]?.record);
      },
      close: async () => {
        for (const store of stores) await store.close();
        await server.close();
      },
    };
  },
  { unavailable: postgresMissing() },
);

test.skipIf(postgresMissing())(
  "jobs whose claim PostgreSQL executed but did not answer are released, and processed in their order",
  async () => {
    const server = await startPostgres();
    const store = await openPostgresStore({ url: server.url });
    let answers = false;
    const query: PostgresStore["query"] = async (statement, values) => {
      const rows = await store.query<never>(statement, values);
      if (statement === statements.claim && !answers) throw new StoreUnavailableError("no answer");
      return rows;
    };
    const queue = createPostgresJobQueue({ ...store, query }, { leaseMs: 60_000 });
    onTestFinished(async () => {
      await queue.close();
      await store.close();
      await server.close();
    });
    await expectLostClaimsReleased(queue, () => (answers = true));
  },
);

test.skipIf(postgresMissing())(
  "the table is created by the next request if the first one could not create it",
  async () => {
    const server = await startPostgres();
    const store = await openPostgresStore({ url: server.url });
    const migrate = vi.fn(store.migrate).mockRejectedValueOnce(new StoreUnavailableError("starting up"));
    const queue = createPostgresJobQueue({ ...store, migrate });
    onTestFinished(async () => {
      await queue.close();
      await store.close();
      await server.close();
    });
    await expect(queue.enqueue(aRecord())).rejects.toThrow("starting up");
    for (const record of [aRecord(), aRecord()]) expect(await queue.enqueue(record)).toMatchObject({ existed: false });
    expect(migrate).toHaveBeenCalledTimes(2);
  },
);
