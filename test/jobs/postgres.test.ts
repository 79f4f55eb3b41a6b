import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { createPostgresJobQueue } from "../../src/jobs/drivers/postgres.ts";
import { statements } from "../../src/jobs/drivers/postgres-schema.ts";
import type { JobQueue } from "../../src/jobs/job-queue.ts";
import { StoreUnavailableError } from "../../src/store/store-errors.ts";
import { openPostgresStore } from "../../src/store/postgres.ts";
import type { PostgresStore } from "../../src/store/postgres.ts";
import { postgresMissing, startPostgres, type PostgresServer } from "../support/postgres-server.ts";
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

describe.skipIf(postgresMissing())("an erasure that waits for", () => {
  let server: PostgresServer;
  let store: PostgresStore;
  let queue: JobQueue;
  let other: Client;
  beforeAll(async () => {
    server = await startPostgres();
    store = await openPostgresStore({ url: server.url });
    queue = createPostgresJobQueue(store);
    other = new Client({ connectionString: server.url });
    await other.connect();
  }, 60_000);
  afterAll(async () => {
    await other.end();
    await queue.close();
    await store.close();
    await server.close();
  });

  test.each([
    ["a claim", statements.claim, ["mine", 1, false, 60_000, false], [{ record: "" }]],
    ["the end of a job", "UPDATE jackfield.jobs SET held = false, open = false WHERE held", [], []],
  ])("%s erases the job", async (name, statement, values, left) => {
    const record = aRecord({ context: { runId: name } });
    await queue.enqueue(record);
    if (name !== "a claim") await store.query(statements.claim, ["mine", 1, false, 60_000, false]);
    await other.query("BEGIN");
    await other.query(statement, values);
    const erased = queue.erase({ tenant: "default", runId: name });
    await expect.poll(() => store.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).toHaveLength(1);
    await other.query("COMMIT");
    expect(await erased).toBe(1);
    expect(await store.query("SELECT record FROM jackfield.jobs WHERE run = $1", [name])).toEqual(left);
    await store.query("DELETE FROM jackfield.jobs");
  });
});
