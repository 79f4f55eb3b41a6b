import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPostgresLedger } from "../../src/ledger/drivers/postgres.ts";
import { LedgerUnavailableError } from "../../src/ledger/ledger.ts";
import { openPostgresStore } from "../../src/store/postgres.ts";
import type { PostgresStore } from "../../src/store/postgres.ts";
import { postgresMissing, startPostgres } from "../support/postgres-server.ts";
import type { PostgresServer } from "../support/postgres-server.ts";
import { ledgerConformance } from "./conformance.ts";
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

describe.skipIf(missing)("a PostgreSQL server", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.close());

  test("that is killed is told within 2 s; what was acknowledged is there when it is back", async () => {
    const store = await openPostgresStore({ url: server.url });
    const ledger = createPostgresLedger(store);
    const [ended, running] = [anIntent(), anIntent()];
    await ledger.finish(await beginNew(ledger, ended), aResult("kept"), "replay");
    const claim = await beginNew(ledger, running);
    await server.kill();
    const started = performance.now();
    await expect(ledger.begin(anIntent())).rejects.toThrow(LedgerUnavailableError);
    expect(await ledger.finish(claim, aResult("late"), "replay")).toEqual({ state: "deferred" });
    expect(ledger.pendingOutcomes).toBe(1);
    expect(performance.now() - started).toBeLessThan(2_000);
    await server.start();
    await expect.poll(() => ledger.ping().then(() => "up", String), { timeout: 8_000 }).toBe("up");
    expect((await ledger.find(ended.key))?.result?.output).toBe("kept");
    await ledger.settled();
    expect((await ledger.find(running.key))?.result?.output).toBe("late");
    await ledger.close();
    await store.close();
  });

  test("that is not there is told, and nothing crashes", async () => {
    const faults: (string | undefined)[] = [];
    const absent = await openPostgresStore({
      url: "postgres://me:s3cret-word@127.0.0.1:1/x",
      onFault: (fault) => faults.push(fault),
    });
    await expect(absent.ping()).rejects.toThrow(/127\.0\.0\.1:1/);
    expect(faults.join(" ")).not.toContain("s3cret-word");
    await absent.close();
  });
});
