// `npm run bench`: all rows of the goals table. `npm run bench -- grpc tail --seconds 5`: these rows. `-- growth`: the growth tables.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chooseCores } from "./cores.ts";
import { measureGrowth } from "./growth/growth.ts";
import { createNumbers } from "./load/load.ts";
import { resultsPlot } from "./plot.ts";
import { root, startProgram } from "./program.ts";
import { loadNow, describeRatio, resultsPage, type Result } from "./report.ts";
import type { Bench, Row } from "./row.ts";
import { accept } from "./rows/accept.ts";
import { cognigy } from "./rows/cognigy.ts";
import { connect } from "./rows/connect.ts";
import { grpc } from "./rows/grpc.ts";
import { http } from "./rows/http.ts";
import { mcp } from "./rows/mcp.ts";
import { pipeline, registry } from "./rows/pipeline.ts";
import { redis } from "./rows/redis.ts";
import { start } from "./rows/start.ts";
import { tail } from "./rows/tail.ts";
import { write } from "./rows/write.ts";

const rows: readonly Row[] = [cognigy, http, grpc, connect, mcp, accept, redis, write, pipeline, registry, tail, start];

const { values: given, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
    rows: { type: "string", default: "10000000" },
    "no-write": { type: "boolean", default: false },
  },
});
const print = (line: string): void => void process.stdout.write(`${line}\n`);
const unknown = names.filter((name) => name !== "growth" && !rows.some((row) => row.name === name));
if (unknown.length > 0 || !(Number(given.seconds) > 0) || !(Number(given.rounds) >= 1)) {
  print(
    `Usage: npm run bench -- [ROW…] [--seconds N] [--rounds N] [--rows N] [--no-write]\nRows: ${rows.map(({ name }) => name).join(", ")}, growth`,
  );
  process.exit(1);
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
const startedAt = new Date();
const loadBefore = loadNow();
const cores = chooseCores();
await using sink = await startProgram("bench/peers/sink.ts", { core: cores.load });
const bench: Bench = {
  cores,
  rounds: Number(given.rounds),
  seconds: Number(given.seconds),
  warmSeconds: Math.min(1.5, Number(given.seconds)),
  sink: `http://127.0.0.1:${sink.port}`,
  number: createNumbers(),
  maxRows: Number(given.rows),
  print,
};
print(`${cores.description}; load average ${loadBefore.toFixed(2)}`);

const chosen = names.length === 0 ? rows : rows.filter(({ name }) => names.includes(name));
const results: Result[] = [];
for (const row of chosen) {
  print(`${row.name}: ${row.title}`);
  const measured = await row.run(bench);
  for (const ratio of measured.ratios) print(`  => ${describeRatio(ratio)}`);
  for (const note of measured.notes) print(`  (${note})`);
  results.push({ name: row.name, title: row.title, measured });
}

// The page is written only after a run of all rows. A run of some rows is printed.
if (names.length === 0 && !given["no-write"]) {
  const conditions = { cores, rounds: bench.rounds, seconds: bench.seconds, loadBefore, startedAt };
  writeFileSync(join(root, "bench/RESULTS.md"), resultsPage(results, conditions));
  writeFileSync(join(root, "bench/results.svg"), resultsPlot(results));
  print("written: bench/RESULTS.md, bench/results.svg");
}
if (names.includes("growth")) await measureGrowth(bench);
