import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { Outcome, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { createSqliteLedger } from "../../src/ledger/drivers/sqlite.ts";
import type { Intent } from "../../src/ledger/ledger.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { scratchFolder } from "../scratch.ts";

const inFlight = 64;
const place = { tenant: "default", source: "bench", conversationId: "", sessionId: "", runId: "" };

function intentOf(number: number): Intent {
  return {
    key: `default bench call-${number}`,
    digest: "digest:write_inventory",
    callId: `call-${number}`,
    tool: "write_inventory",
    effect: "write",
    argumentsJson: '{"sku":"SKU-8842","warehouse":"US-WEST"}',
    place: { ...place, conversationId: `conversation-${number % 1000}` },
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

/** What an intent and an outcome cost, and a look-up, in a ledger that holds so many calls. */
export async function ledgerCost(
  held: number,
  seconds: number,
): Promise<{ perSecond: number; p99Ms: number; findMicros: number; megabytes: number }> {
  using folder = scratchFolder();
  const store = await openSqliteStore({ folder: folder.path, onFault: () => {} });
  const ledger = createSqliteLedger(store);
  let number = 0;
  const keep = async (): Promise<void> => {
    const intent = intentOf(number++);
    await ledger.begin(intent);
    await ledger.finish(intent.key, resultOf(number), "replay");
  };
  const many = (workers: number, more: () => boolean): Promise<unknown> =>
    Promise.all(
      Array.from({ length: workers }, async () => {
        while (more()) await keep();
      }),
    );
  await many(2000, () => number < held);

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
  };
}
