// Keeps the service under load while one fault after the other is injected, and checks its promises: nothing is lost or
// executed twice, no answer changes, memory is flat, handles and rows are bounded.
//   npm run soak [-- --minutes 60] [--seed TEXT] [--rate 80] [--engine redis://…] [--faults store,disk,…|none]
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createRandom } from "../../../src/sandbox/random.ts";
import { smallDisk } from "../../store/small-disk.ts";
import { rpc } from "../../support/http-client.ts";
import { freePort } from "../../support/free-port.ts";
import { scratchFolder } from "../../support/scratch-folder.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import { startService, testPlugins } from "../support/service.ts";
import { until } from "../support/until.ts";
import { openDoors } from "./doors.ts";
import { startSoakDownstream } from "./downstream.ts";
import { faultKinds } from "./faults.ts";
import { createHistory, type Dead } from "./history.ts";
import { startLoad } from "./load.ts";
import { startSoakPlatform } from "./platform.ts";
import { runFaults } from "./fault-run.ts";
import { printReport } from "./report.ts";
import { findGrowth, measure, type Sample } from "./watch.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "3" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    rate: { type: "string", default: "80" },
    engine: { type: "string" },
    faults: { type: "string", default: faultKinds.join(",") },
  },
});
const rate = Number(values.rate);
const kinds = faultKinds.filter((kind) => values.faults.split(",").includes(kind));

/** Time for which a call is remembered: short, so that expiry is part of the test, and longer than a caller repeats it. */
const windowMs = 90_000;
/** Maximum pause between two sweeps of expired entries. */
const sweepMs = 75_000;
/** Maximum pause between two tries of a delivery. */
const deliveryPauseMs = 60_000;

console.log(`seed ${values.seed}, ${values.minutes} minutes, faults: ${kinds.join(", ") || "none"}`);
await using stack = new AsyncDisposableStack();
// An interruption leaves no disk and no process.
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => void stack.disposeAsync().finally(() => process.exit(1)));
const folder = stack.use(scratchFolder("jackfield-soak"));
const disk = smallDisk(64);
if (disk !== undefined) stack.use(disk);
const dataDir = join(disk?.path ?? folder.path, "data");
const engine = values.engine === undefined ? undefined : new URL(values.engine);
const proxy = engine && stack.use(await startTcpProxy(Number(engine.port)));
if (engine !== undefined) engine.port = String(proxy!.port);
const downstream = stack.use(await startSoakDownstream());
const platform = stack.use(await startSoakPlatform());
const service = stack.use(
  await startService({
    config: {
      port: await freePort(),
      dataDir,
      // Writes in progress are settled when they must have ended: with a short deadline callers know in time.
      plugins: testPlugins(downstream.url, 2000),
      sandbox: false,
      ledger: { windowHours: windowMs / 3_600_000, uncertainHours: windowMs / 3_600_000, readEntries: 1000 },
      ...(engine !== undefined && { engine: { url: engine.href } }),
    },
    env: {
      GENESYS_API_BASE_URL: platform.url,
      GENESYS_CLIENT_ID: "soak",
      GENESYS_CLIENT_SECRET: "soak",
      NODE_OPTIONS: `--import=${join(import.meta.dirname, "collect.ts")}`,
    },
  }),
);
const history = createHistory();
const load = startLoad({ doors: openDoors(service.url), random: createRandom(values.seed), rate, history });
const measured = (): Promise<Sample> => measure(service, load.requests, engine === undefined ? dataDir : undefined);

const ordeal = await runFaults({
  durationMs: Number(values.minutes) * 60_000,
  kinds,
  parts: { service, downstream, platform, dataDir, disk, engine: proxy },
  random: createRandom(`${values.seed} faults`),
  measure: measured,
  onMinute: showMinute,
});
await load.finish();
let dead: Dead = new Map();
await until(
  "everything accepted is delivered or set aside",
  async () => {
    dead = await deadJobs();
    await wait(500);
    return missing().every((jobId) => dead.has(jobId));
  },
  2 * deliveryPauseMs,
).catch(() => {});
let last = await measured();
const quietUntil = performance.now() + windowMs + sweepMs + 15_000;
while (performance.now() < quietUntil && (last.rows === undefined || last.rows.entries + last.rows.jobs > dead.size)) {
  await wait(2000);
  last = await measured();
}

const growth = findGrowth({
  ...ordeal,
  last,
  dead: dead.size,
  // A request has 1.2 calls on average.
  maxRows: rate * 1.2 * ((windowMs + sweepMs + 15_000) / 1000),
});
const verdict = history.judge(downstream.effects, platform.deliveries, dead);
const isKept = printReport({ load, history, platform, ordeal, dead, verdict, growth, last });
if (!isKept) {
  const file = join(tmpdir(), `jackfield-soak-${values.seed}.log`);
  writeFileSync(file, service.log.join("\n"));
  console.log(`The log of the service: ${file}`);
  process.exitCode = 1;
}

function showMinute(minute: number, { rssMb, liveMb, handles, rows, requests }: Sample, faults: number): void {
  const rowCounts = rows === undefined ? "" : `, ${rows.entries} entries, ${rows.jobs} jobs`;
  console.log(
    `${minute} min: ${requests} requests, ${faults} faults, ${load.open} open, ${missing().length} to deliver, ` +
      `${rssMb.toFixed(1)} MB (${liveMb.toFixed(1)} in use), ${handles} handles${rowCounts}`,
  );
}

/** Returns the jobs that were accepted and are not yet delivered. */
function missing(): string[] {
  return [...history.accepted.values()]
    .map(({ jobId }) => jobId)
    .filter((jobId) => (platform.deliveries.get(jobId)?.taken ?? 0) === 0);
}

/** Returns the dead letters with their reasons. */
async function deadJobs(): Promise<Dead> {
  const { body } = await rpc(service.url, "Jobs/ListJobs", { state: "JOB_STATE_DEAD", pageSize: 1000 });
  const jobs = (body["jobs"] ?? []) as { id: string; error?: string }[];
  return new Map(jobs.map(({ id, error = "" }) => [id, error]));
}
