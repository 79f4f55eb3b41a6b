import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Outcome, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { createSqliteLedger } from "../../src/ledger/drivers/sqlite.ts";
import type { Intent } from "../../src/ledger/ledger.ts";
import { databaseName } from "../../src/store/sqlite-file.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { scratchFolder } from "../scratch.ts";

const inFlight = 64;
const scope = { tenant: "default", source: "bench", conversationId: "", sessionId: "", runId: "" };

function intentOf(number: number): Intent {
  return {
    key: `default bench call-${number}`,
    digest: "digest:write_inventory",
    callId: `call-${number}`,
    tool: "write_inventory",
    effect: "write",
    argumentsJson: '{"sku":"SKU-8842","warehouse":"US-WEST"}',
    scope: { ...scope, conversationId: `conversation-${number % 1000}` },
    timeoutMs: 5000,
  };
}

function resultOf(number: number): ToolResult {
  return {
    $typeName: "jackfield.v1.ToolResult",
    callId: `call-${number}`,
    name: "write_inventory",
    outcome: Outcome.OK,
    output: '{"items":[{"sku":"SKU-8842","quantity":150,"status":"ACTIVE"}],"total":1}',
    truncated: false,
    replayed: false,
    attempts: 1,
  };
}

/** Calls that go through the ledger. All others are copies of them under other keys. */
const genuine = 10_000;
const atOnce = 500_000;

/** Fills the file of a closed store with copies: through the ledger, ten million calls take ten minutes. */
function fill(folder: string, total: number): void {
  const database = new DatabaseSync(join(folder, databaseName));
  database.exec("PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000");
  const copy = database.prepare(`
    INSERT INTO entries (key, digest, intent, conversation, source, owner, attempt, lineage, state, keep, result, created_at, ended_at)
    WITH RECURSIVE numbers (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?2)
    SELECT 'default bench call-' || n, digest, intent, conversation, source, owner, attempt, lineage, state, keep, result, created_at, ended_at
    FROM numbers JOIN entries ON entries.rowid = 1 + n % ${genuine}`);
  for (let from = genuine; from < total; from += atOnce) copy.run(from, Math.min(total, from + atOnce));
  database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
}

/** Measures the cost of an intent with its outcome, and of a look-up, in a ledger that contains this number of calls. */
export async function ledgerCost(
  held: number,
  seconds: number,
): Promise<{ perSecond: number; p99Ms: number; findMicros: number; megabytes: number; openMs: number }> {
  using folder = scratchFolder();
  let store = await openSqliteStore({ folder: folder.path, onProblem: () => {} });
  let ledger = createSqliteLedger(store);
  let number = 0;
  const keep = async (): Promise<void> => {
    const intent = intentOf(number++);
    const begun = await ledger.begin(intent);
    if (begun.state === "new") await ledger.finish(begun.claim, resultOf(number), "replay");
  };
  const many = (workers: number, more: () => boolean): Promise<unknown> =>
    Promise.all(
      Array.from({ length: workers }, async () => {
        while (more()) await keep();
      }),
    );
  await many(2000, () => number < Math.min(held, genuine));
  let openMs = Number.NaN;
  if (held > genuine) {
    await store.close();
    fill(folder.path, held);
    const from = performance.now();
    store = await openSqliteStore({ folder: folder.path, onProblem: () => {} });
    openMs = performance.now() - from;
    ledger = createSqliteLedger(store);
    number = held;
  }

  const latencies: number[] = [];
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (performance.now() - startedAt < seconds * 1000) {
        const from = performance.now();
        await keep();
        latencies.push(performance.now() - from);
      }
    }),
  );
  const perSecond = latencies.length / ((performance.now() - startedAt) / 1000);
  const finds = 2000;
  const findFrom = performance.now();
  await Promise.all(Array.from({ length: finds }, (_each, index) => ledger.find(intentOf((index * 7919) % held).key)));
  const findMicros = ((performance.now() - findFrom) * 1000) / finds;
  await ledger.close();
  await store.close();
  const bytes = readdirSync(folder.path).reduce((sum, name) => sum + statSync(join(folder.path, name)).size, 0);
  return {
    perSecond,
    p99Ms: latencies.toSorted((a, b) => a - b)[Math.floor(latencies.length * 0.99)] ?? Number.NaN,
    findMicros,
    megabytes: bytes / 2 ** 20,
    openMs,
  };
}
