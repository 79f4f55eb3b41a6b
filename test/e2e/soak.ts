// A soak of the service in a process of its own: memory flat, ledger bounded by its window, no handle leaked.
//   node --conditions=@jackfield/source test/e2e/soak.ts [--calls 200000] [--engine redis://…] [--seed TEXT]
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { startReceiver } from "../../src/cli/sim/receiver.ts";
import { simulate } from "../../src/cli/sim/simulate.ts";
import { createRandom } from "../../src/sandbox/random.ts";
import { freePort } from "../support/free-port.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { startDownstream } from "./support/downstream.ts";
import { startService, testPlugins } from "./support/service.ts";

interface Sample {
  readonly requests: number;
  readonly rssMb: number;
  readonly fds: number;
  readonly entries: number;
  readonly jobs: number;
}

const { values } = parseArgs({
  options: {
    calls: { type: "string", default: "200000" },
    engine: { type: "string" },
    seed: { type: "string", default: "soak" },
  },
});
const total = Number(values.calls);
/** How long a call is remembered, in seconds: short, so that forgetting is part of the soak. */
const windowSeconds = 30;

using folder = scratchFolder("jackfield-soak");
await using downstream = await startDownstream();
const port = await freePort();
await using service = await startService({
  config: {
    plugins: testPlugins(downstream.url),
    sandbox: false,
    dataDir: folder.path,
    ledger: { windowHours: windowSeconds / 3600, readEntries: 1000 },
    logLevel: "error",
    ...(values.engine !== undefined && { engine: { url: values.engine } }),
  },
  // Without the line that says where it listens it would not be found.
  env: {
    LOG_LEVEL: "info",
    GENESYS_API_BASE_URL: `http://127.0.0.1:${port}`,
    GENESYS_CLIENT_ID: "sim",
    GENESYS_CLIENT_SECRET: "sim",
  },
});

const samples: Sample[] = [];
let answers = 0;
const watching = new AbortController();

function sample(): Sample {
  const status = readFileSync(`/proc/${service.pid}/status`, "utf8");
  return {
    requests: answers,
    rssMb: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024,
    fds: readdirSync(`/proc/${service.pid}/fd`).length,
    ...rows(),
  };
}

function rows(): { entries: number; jobs: number } {
  if (values.engine !== undefined) return { entries: 0, jobs: 0 };
  const database = new DatabaseSync(join(folder.path, "jackfield.db"), { readOnly: true });
  try {
    const count = (table: string): number =>
      Number(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.["n"]);
    return { entries: count("entries"), jobs: count("jobs") };
  } finally {
    database.close();
  }
}

/** The states and errors of the jobs that are left. */
function leftOver(): string {
  if (values.engine !== undefined) return "";
  const database = new DatabaseSync(join(folder.path, "jackfield.db"), { readOnly: true });
  try {
    return JSON.stringify(database.prepare("SELECT id, state, open, changed_at, record FROM jobs LIMIT 5").all()).slice(
      0,
      3000,
    );
  } finally {
    database.close();
  }
}

function show(what: Sample): void {
  console.log(
    `${what.requests} requests: ${what.rssMb.toFixed(0)} MB, ${what.fds} handles, ${what.entries} entries, ${what.jobs} jobs`,
  );
}

const watch = (async () => {
  while (!watching.signal.aborted) {
    const taken = sample();
    samples.push(taken);
    show(taken);
    await wait(5000, undefined, { signal: watching.signal }).catch(() => {});
  }
})();

const startedAt = performance.now();
const report = await simulate({
  traffic: {
    total,
    mix: { runs: 3, gateway: 3, callbacks: 4 },
    duplicates: 0.05,
    malformed: 0.02,
    batch: 2,
    prefix: values.seed,
    calls: [
      ...["look", "look", "look", "set", "put", "put_known"].map((name) => ({ name, arguments: { id: "soak" } })),
      { name: "no_such_tool", arguments: {} },
    ] as [{ name: string; arguments: Record<string, unknown> }],
  },
  sender: {
    baseUrl: service.url,
    headers: { runs: {}, gateway: {}, callbacks: {} },
    concurrency: 24,
    rate: 0,
    tries: 8,
  },
  receiver: { port, faults: { "429": 0.002, cut: 0.002, "401": 0.001 } },
  seed: values.seed,
  settleMs: 120_000,
  onProgress: (line) => (answers = Number.parseInt(line, 10)),
});
const seconds = (performance.now() - startedAt) / 1000;
answers = total;
watching.abort();
await watch;

// What the platform took without its answer arriving is delivered once more: somebody has to be there.
await using _platform = await startReceiver({ port, faults: {}, random: createRandom("soak"), onDelivery: () => {} });
// The last retry of a delivery, the window, and the pause between two sweeps.
const quietUntil = performance.now() + (60 + windowSeconds + 75) * 1000;
while (performance.now() < quietUntil && Object.values(rows()).some((count) => count > 0)) await wait(1000);
const last = sample();
show(last);

const late = samples.slice(Math.floor(samples.length / 2));
const slope = slopeOf(late);
const warm = samples[Math.min(2, samples.length - 1)]!;
const faults = [
  ...report.faults,
  ...(last.entries > 0 || last.jobs > 0
    ? [`The store still holds ${last.entries} entries and ${last.jobs} jobs after the window: ${leftOver()}`]
    : []),
  ...(last.fds > warm.fds + 8 ? [`${last.fds} handles are open, ${warm.fds} when it was warm.`] : []),
  // Less than this is the noise of the collector.
  ...(slope > 0.5 && late.length > 10 ? [`Memory grows by ${slope.toFixed(2)} MB per 1,000 requests.`] : []),
];
console.log(
  JSON.stringify({
    requests: total,
    seconds: Math.round(seconds),
    perSecond: Math.round(total / seconds),
    effects: downstream.requests.length,
    acknowledged: report.acknowledged,
    delivered: report.delivered,
    deliveredAgain: report.repeated,
    rssMb: {
      warm: Math.round(warm.rssMb),
      end: Math.round(last.rssMb),
      slopePerThousand: Math.round(slope * 1000) / 1000,
    },
    fds: { warm: warm.fds, end: last.fds },
    maxEntries: Math.max(...samples.map(({ entries }) => entries)),
    statuses: report.statuses,
    faults: faults.slice(0, 20),
  }),
);
process.exitCode = faults.length === 0 ? 0 : 1;

/** Least squares through the memory of the second half, in MB per 1,000 requests. */
function slopeOf(points: readonly Sample[]): number {
  const meanX = points.reduce((sum, { requests }) => sum + requests, 0) / points.length;
  const meanY = points.reduce((sum, { rssMb }) => sum + rssMb, 0) / points.length;
  const above = points.reduce((sum, { requests, rssMb }) => sum + (requests - meanX) * (rssMb - meanY), 0);
  const below = points.reduce((sum, { requests }) => sum + (requests - meanX) ** 2, 0);
  return below === 0 ? 0 : (above / below) * 1000;
}
