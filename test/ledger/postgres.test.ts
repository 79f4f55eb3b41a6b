import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { statements } from "../../src/ledger/drivers/postgres-schema.ts";
import { createPostgresLedger } from "../../src/ledger/drivers/postgres.ts";
import { LedgerUnavailableError } from "../../src/ledger/ledger.ts";
import { openPostgresStore, statementTimeoutMs } from "../../src/store/postgres.ts";
import type { PostgresStore } from "../../src/store/postgres.ts";
import { StoreUnavailableError } from "../../src/store/store-errors.ts";
import { postgresMissing, startPostgres } from "../support/postgres-server.ts";
import type { PostgresServer } from "../support/postgres-server.ts";
import { ledgerConformance } from "./conformance.ts";
import {
  committedLate,
  firstRequest,
  type OpenWith,
  provesLateIntentsAreNobodys,
  provesLostEntriesAreNotOverwritten,
  provesUnansweredRecoveriesAreUndone,
} from "./late.ts";
import { aResult, anIntent, beginNew } from "./samples.ts";

const missing = postgresMissing();

ledgerConformance(
  "the ledger on PostgreSQL",
  async () => {
    const server = await startPostgres();
    const stores: PostgresStore[] = [];
    return {
      open: async () => {
        const store = await openPostgresStore({ url: server.url });
        stores.push(store);
        return createPostgresLedger(store);
      },
      die: (ledger) => ledger.close(),
      lose: async (key) => void (await stores[0]?.query("DELETE FROM jackfield.entries WHERE key = $1", [key])),
      close: async () => {
        for (const store of stores) await store.close();
        await server.close();
      },
    };
  },
  { unavailable: missing },
);

/** Changes a setting of the server, over a connection of its own. */
async function setting(server: PostgresServer, name: string, value: string): Promise<void> {
  const client = new Client({ connectionString: server.url });
  await client.connect();
  await client.query(`ALTER SYSTEM SET ${name} = ${value}`);
  await client.query("SELECT pg_reload_conf()");
  await client.end();
}

describe.skipIf(missing)("a PostgreSQL server", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.close());

  test("is reported when killed; acknowledged writes are there when it is back", async () => {
    const store = await openPostgresStore({ url: server.url });
    const ledger = createPostgresLedger(store);
    const [ended, running] = [anIntent(), anIntent()];
    await ledger.finish(await beginNew(ledger, ended), aResult("kept"), "replay");
    const claim = await beginNew(ledger, running);
    await server.kill();
    await expect(ledger.begin(anIntent())).rejects.toThrow(LedgerUnavailableError);
    expect(await ledger.finish(claim, aResult("late"), "replay")).toMatchObject({ state: "deferred" });
    expect(ledger.pendingOutcomes).toBe(1);
    await server.start();
    await expect.poll(() => ledger.ping().then(() => "up", String), { timeout: 8_000 }).toBe("up");
    expect((await ledger.find(ended.key))?.result?.output).toBe("kept");
    await ledger.settled();
    expect((await ledger.find(running.key))?.result?.output).toBe("late");
    await ledger.close();
    await store.close();
  });

  test("that is slow to commit leaves no call behind without a waiting caller", async () => {
    const store = await openPostgresStore({ url: server.url });
    const ledger = createPostgresLedger(store);
    await ledger.ping();
    const intent = anIntent();
    // Commits wait for a standby that does not exist; reads continue.
    await setting(server, "synchronous_standby_names", "'nobody'");
    await expect(ledger.begin(intent)).rejects.toThrow(LedgerUnavailableError);
    await setting(server, "synchronous_standby_names", "''");
    await expect.poll(() => ledger.ping().then(() => "up", String), { timeout: 8_000 }).toBe("up");
    expect((await ledger.begin(intent)).state).toBe("new");
    await ledger.close();
    await store.close();
  }, 20_000);

  test("with a locked table refuses, and accepts the same call once the lock is gone", async () => {
    const store = await openPostgresStore({ url: server.url });
    const ledger = createPostgresLedger(store);
    await ledger.ping();
    const intent = anIntent();
    const locker = new Client({ connectionString: server.url });
    await locker.connect();
    await locker.query("BEGIN; LOCK TABLE jackfield.entries IN ACCESS EXCLUSIVE MODE");
    await expect(ledger.begin(intent)).rejects.toThrow(/lock timeout/);
    await locker.query("COMMIT");
    await locker.end();
    expect((await ledger.begin(intent)).state).toBe("new");
    await ledger.close();
    await store.close();
  });

  test("that closes a replica's connections does not make its next calls abandoned", async () => {
    const [first, second] = [
      await openPostgresStore({ url: server.url }),
      await openPostgresStore({ url: server.url }),
    ];
    const [owner, other] = [createPostgresLedger(first), createPostgresLedger(second)];
    await owner.ping();
    // The owner sends nothing for longer than its lease; the other process considers it dead.
    await owner.close();
    await expect
      .poll(async () => (await second.query("SELECT FROM jackfield.owners")).length, { timeout: 8_000 })
      .toBe(1);
    const intent = anIntent({ effect: "idempotent" });
    await beginNew(owner, intent);
    expect((await other.begin(intent)).state).toBe("running");
    await other.close();
    for (const store of [first, second]) await store.close();
  }, 20_000);

  test("that no longer hears from a replica gives its calls to the others", async () => {
    const store = await openPostgresStore({ url: server.url });
    let frozen = false;
    const query: PostgresStore["query"] = (...request) =>
      frozen ? Promise.reject(new StoreUnavailableError("frozen")) : store.query(...request);
    const [owner, other] = [createPostgresLedger({ ...store, query }), createPostgresLedger(store)];
    const intent = anIntent({ effect: "idempotent" });
    await beginNew(owner, intent);
    frozen = true;
    await expect.poll(async () => (await other.begin(intent)).state, { timeout: 8_000 }).toBe("abandoned");
    for (const ledger of [owner, other]) await ledger.close();
    await store.close();
  });

  const open: OpenWith = async (kind, act) => {
    const store = await openPostgresStore({ url: server.url });
    onTestFinished(() => store.close());
    const query = firstRequest(store.query, (text) => text === statements[kind], act) as PostgresStore["query"];
    const [ledger, other] = [createPostgresLedger({ ...store, query }), createPostgresLedger(store)];
    return { ledger, other, lose: (key) => store.query("DELETE FROM jackfield.entries WHERE key = $1", [key]) };
  };

  test("that has lost an entry which another begins concurrently gives it to that one", async () => {
    await provesLostEntriesAreNotOverwritten(open);
  });

  test("that has given calls to a replica which did not get the answer gives them to the next that recovers", async () => {
    await provesUnansweredRecoveriesAreUndone(open);
  });

  test("that executes an intent after its caller was refused gives it to nobody", async () => {
    const store = await openPostgresStore({ url: server.url });
    await provesLateIntentsAreNobodys(async () => {
      const { method, commit } = committedLate(store.query, (text) => text === statements.begin);
      return { ledger: createPostgresLedger({ ...store, query: method as PostgresStore["query"] }), commit };
    });
    await store.close();
  });

  test("that gets an intent too late executes nothing, and nothing is to be undone", async () => {
    const store = await openPostgresStore({ url: server.url });
    let waits = true;
    const asked: string[] = [];
    const query: PostgresStore["query"] = async (text, values) => {
      asked.push(text);
      // As long as its caller waits.
      if (waits && text === statements.begin)
        await new Promise((resolve) => setTimeout(resolve, statementTimeoutMs + 100));
      return await store.query(text, values);
    };
    const ledger = createPostgresLedger({ ...store, query });
    const intent = anIntent();
    await expect(ledger.begin(intent)).rejects.toThrow(new LedgerUnavailableError("PostgreSQL has answered too late"));
    waits = false;
    expect(await ledger.find(intent.key)).toBeUndefined();
    expect((await ledger.begin(intent)).state).toBe("new");
    expect(asked).not.toContain(statements.release);
    await ledger.close();
    await store.close();
  });

  test("whose table cannot be created refuses, and the next request creates it", async () => {
    const store = await openPostgresStore({ url: server.url });
    let refuses = true;
    const migrate: PostgresStore["migrate"] = async (...part) => {
      if (refuses) throw new Error("starting up");
      await store.migrate(...part);
    };
    const released: string[] = [];
    const query: PostgresStore["query"] = async (text, values) => {
      if (text === statements.release) released.push(text);
      return await store.query(text, values);
    };
    const ledger = createPostgresLedger({ ...store, migrate, query });
    const intent = anIntent();
    await expect(ledger.begin(intent)).rejects.toThrow(new LedgerUnavailableError("starting up"));
    refuses = false;
    expect((await ledger.begin(intent)).state).toBe("new");
    expect(released).toEqual([]);
    await ledger.close();
    await store.close();
  });

  test("that is unreachable is reported, and nothing crashes", async () => {
    const faults: (string | undefined)[] = [];
    const absent = await openPostgresStore({
      url: "postgres://me:s3cret-word@127.0.0.1:1/x",
      onProblem: (fault) => faults.push(fault),
    });
    await expect(absent.ping()).rejects.toThrow(/127\.0\.0\.1:1/);
    expect(faults.join(" ")).not.toContain("s3cret-word");
    await absent.close();
  });
});
