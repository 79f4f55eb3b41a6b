import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openConnections, closedLoop } from "../load/load.ts";
import { measurePipeline } from "../measure-pipeline.ts";
import { root } from "../program.ts";
import { figure, loadNow } from "../report.ts";
import type { Bench } from "../row.ts";
import { scratchFolder } from "../scratch.ts";
import { startService } from "../service.ts";
import { cognigyTarget } from "../targets.ts";
import { ledgerCost } from "./ledger.ts";
import { memoryPerWaitingCall } from "./waiting.ts";

/** Costs by one quantity that grows. */
interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: (readonly string[])[];
}

/** Measures how the cost of a call grows, prints the tables and writes them to `bench/GROWTH.md`. */
export async function measureGrowth(bench: Bench): Promise<void> {
  const before = loadNow();
  const tables: Table[] = [];
  for (const measure of [overTools, overArguments, overLedger, overWaiting, overConcurrency]) {
    const table = await measure(bench);
    tables.push(table);
    bench.print(`${lines(table).join("\n")}\n`);
  }
  const page = [
    "# Growth tables of `npm run bench -- growth`",
    "",
    `Written by \`bench/growth/growth.ts\`; ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC, Node ${process.versions.node}, load average ${before.toFixed(2)} at the start. What they mean stands in [docs/performance.md](../docs/performance.md).`,
    "",
    ...tables.flatMap((table) => [...lines(table), ""]),
  ];
  writeFileSync(join(root, "bench/GROWTH.md"), `${page.join("\n").trimEnd()}\n`);
  bench.print("written: bench/GROWTH.md");
}

function lines({ title, head, rows }: Table): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [`## ${title}`, "", line(head), line(head.map(() => "---")), ...rows.map(line)];
}

/** Number of calls of one in-process measurement. */
const calls = ({ seconds }: Bench): number => Math.round(seconds * 15_000);

async function overTools(bench: Bench): Promise<Table> {
  const rows: string[][] = [];
  for (const tools of [10, 100, 1000, 10_000]) {
    const { micros, cpuMicros } = await measurePipeline({ calls: calls(bench), tools });
    rows.push([tools.toLocaleString("en-US"), figure(micros), figure(cpuMicros)]);
  }
  return { title: "Tools in the registry (in process)", head: ["tools", "µs per call", "µs CPU per call"], rows };
}

async function overArguments(bench: Bench): Promise<Table> {
  const rows: string[][] = [];
  for (const bytes of [100, 1024, 10_240, 102_400, 262_000]) {
    const count = Math.max(200, Math.round((calls(bench) * 200) / (200 + bytes)));
    const args = { sku: "SKU-8842", warehouse: "US-WEST", note: "x".repeat(Math.max(0, bytes - 55)) };
    const { micros, cpuMicros } = await measurePipeline({
      calls: count,
      args,
      free: true,
      warmUp: Math.max(200, count / 10),
    });
    rows.push([bytes.toLocaleString("en-US"), figure(micros), figure(cpuMicros), figure((bytes / micros) * 0.953674)]);
  }
  return {
    title: "Size of the arguments (in process)",
    head: ["bytes", "µs per call", "µs CPU per call", "MiB/s"],
    rows,
  };
}

async function overLedger(bench: Bench): Promise<Table> {
  const rows: string[][] = [];
  for (const stored of [1000, 10_000, 100_000, 1_000_000, 10_000_000].filter((rows) => rows <= bench.maxRows)) {
    const cost = await ledgerCost(stored, bench.seconds);
    rows.push([
      stored.toLocaleString("en-US"),
      figure(cost.perSecond),
      figure(cost.p99Ms),
      figure(cost.findMicros),
      figure(cost.megabytes),
      Number.isNaN(cost.openMs) ? "–" : figure(cost.openMs),
    ]);
  }
  return {
    title: "Rows in the ledger (SQLite, 64 calls in flight)",
    head: ["rows", "begin + finish per second", "p99 ms", "find, µs", "file, MiB", "to open, ms"],
    rows,
  };
}

async function overWaiting(): Promise<Table> {
  const rows: string[][] = [];
  for (const count of [1000, 10_000]) {
    const { bytes } = await memoryPerWaitingCall(count);
    rows.push([count.toLocaleString("en-US"), figure(bytes / 1024)]);
  }
  return { title: "Memory per waiting call (in process)", head: ["calls waiting", "KiB each"], rows };
}

async function overConcurrency(bench: Bench): Promise<Table> {
  const rows: string[][] = [];
  using folder = scratchFolder();
  await using service = await startService({ core: bench.cores.server, folder: folder.path, sink: bench.sink });
  const target = cognigyTarget(service.port);
  for (const connection of await openConnections(target, 1)) connection.close();
  for (const connections of [1, 4, 16, 64, 256, 1024]) {
    const { seconds, warmSeconds, number } = bench;
    const loaded = await closedLoop(target, {
      connections,
      perConnection: 1,
      seconds,
      warmSeconds,
      number,
      cpuSeconds: () => service.cpuSeconds(),
    });
    const meanMs = (connections / loaded.perSecond) * 1000;
    rows.push([
      connections.toLocaleString("en-US"),
      figure(loaded.perSecond),
      figure(loaded.cpuMicros),
      figure(meanMs),
      String(loaded.bad),
    ]);
  }
  return {
    title: "Requests at once (Cognigy callback, whole service)",
    head: ["connections", "requests/s", "µs CPU per request", "mean ms", "bad"],
    rows,
  };
}
