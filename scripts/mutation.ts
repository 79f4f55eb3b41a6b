// Mutation tests with StrykerJS: makes one change of the code after the other and runs the tests against each.
//
//   npm run mutation                                          everything, which takes hours
//   npm run mutation -- --mutate src/jobs/backoff.ts          other options are passed to Stryker
//   npm run mutation -- --room outbound                       one room with its own tests; also a folder: adapters/mcp
//   npm run mutation -- --room jobs/drivers/redis.ts --with-servers   also the tests that start Redis or PostgreSQL
//   npm run mutation -- --room jobs --sample 200 --seed 1     200 changes of one room, drawn at random
//   npm run mutation -- --room jobs --sample 50 --from 50     the next 50 changes of the same sample
//   npm run mutation -- --since main [--seconds 120]          only the lines that changed since a commit, in limited time
//   npm run mutation -- --table REPORT.json…                  each file's score and survivors, from JSON reports
//
// `--since` fails if a change survives that the tests of its room reach. Changes that were not tested in time do not
// count: the next complete run tests them.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readReport, survivorsOf, table } from "./mutation-report.ts";

const root = join(import.meta.dirname, "..");
const stryker = join(root, "node_modules/@stryker-mutator/core/bin/stryker.js");
const args = process.argv.slice(2);
const since = valueOf("--since");
const room = valueOf("--room");
const withServers = args.includes("--with-servers");

if (args.includes("--table")) console.log(table(args.slice(args.indexOf("--table") + 1).map(readReport)));
else if (room !== undefined) process.exitCode = await runRoom(room);
else if (since !== undefined) process.exitCode = await runSince(since, Number(valueOf("--seconds") ?? 120));
else process.exitCode = await run(args);

function valueOf(name: string): string | undefined {
  const at = args.indexOf(name);
  return at === -1 ? undefined : args[at + 1];
}

/** Runs Stryker for at most this number of seconds. Resolves with its exit code. */
async function run(options: readonly string[], seconds?: number): Promise<number> {
  const child = spawn(process.execPath, [stryker, "run", ...options], { cwd: root, stdio: "inherit" });
  const timer = seconds === undefined ? undefined : setTimeout(() => child.kill("SIGINT"), seconds * 1000);
  const [code] = (await once(child, "exit")) as [number | null];
  clearTimeout(timer);
  return code ?? 130;
}

/** Runs Stryker with changed settings for at most this number of seconds. */
async function runWith(settings: Readonly<Record<string, unknown>>, seconds?: number): Promise<number> {
  const config = JSON.parse(readFileSync(join(root, "stryker.config.json"), "utf8")) as Record<string, unknown>;
  const folder = mkdtempSync(join(tmpdir(), "jackfield-mutation-"));
  const configFile = join(folder, "stryker.config.json");
  writeFileSync(configFile, JSON.stringify({ ...config, incremental: false, ...settings }));
  try {
    return await run([configFile], seconds);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Mutates one room, or a sample of its changes. Stores its report with the results of runs, for `--table`. */
async function runRoom(room: string): Promise<number> {
  const [size, seed, from] = [valueOf("--sample"), valueOf("--seed") ?? "1", valueOf("--from") ?? "0"];
  const folder = join(root, "node_modules/.cache/stryker");
  const name = room.replaceAll(/[/.]/g, "-");
  const reportFile = join(folder, size === undefined ? `${name}.json` : `${name}-${size}-${seed}-${from}.json`);
  const sampling = {
    plugins: ["@stryker-mutator/vitest-runner", join(root, "scripts/mutation-sample.ts")],
    checkers: ["sample"],
    sample: { size: Number(size), seed, from: Number(from) },
  };
  mkdirSync(folder, { recursive: true });
  rmSync(reportFile, { force: true });
  const code = await runWith({
    mutate: [room.endsWith(".ts") ? `src/${room}` : `src/${room}/**/*.ts`],
    testFiles: testFilesOf([room.split("/")[0] ?? room]),
    // A sample runs with two processes: Stryker gives the checker's share to the tests when the checker is done.
    concurrency: 1,
    reporters: ["json", "progress-append-only"],
    jsonReporter: { fileName: reportFile },
    tempDirName: `.stryker-tmp/${name}`,
    ...(size !== undefined && sampling),
  });
  if (existsSync(reportFile)) console.log(`${table([readReport(reportFile)])}\n\nreport: ${reportFile}`);
  return code;
}

async function runSince(base: string, seconds: number): Promise<number> {
  if (!isCommit(base)) {
    console.log(`mutation: ${base} is not known here: nothing to compare with`);
    return 0;
  }
  const mutate = changedLines(base);
  if (mutate.length === 0) {
    console.log(`mutation: no line of a room under mutation has changed since ${base}`);
    return 0;
  }
  const folder = mkdtempSync(join(tmpdir(), "jackfield-mutation-"));
  const reportFile = join(folder, "report.json");
  const testFiles = testFilesOf(mutate.map((one) => one.split("/")[1] ?? ""));
  const reporting = { reporters: ["json", "clear-text"], jsonReporter: { fileName: reportFile } };
  console.log(`mutation: ${mutate.join(" ")}`);
  try {
    await runWith({ mutate, testFiles, ...reporting, tempDirName: ".stryker-tmp/since" }, seconds);
    if (!existsSync(reportFile)) {
      console.log(`mutation: not done within ${seconds} s; nothing is counted`);
      return 0;
    }
    const survivors = survivorsOf(readReport(reportFile));
    console.log(survivors.length === 0 ? "mutation: no change survives" : survivors.join("\n"));
    return survivors.length === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function git(...options: string[]): string {
  return execFileSync("git", options, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

function isCommit(name: string): boolean {
  try {
    git("rev-parse", "--verify", "--quiet", `${name}^{commit}`);
    return true;
  } catch {
    return false;
  }
}

/** Returns the changes since the base in the rooms under mutation, in Stryker's form: `FILE:FIRST-LAST`. */
function changedLines(base: string): string[] {
  const rooms = ["executor", "ledger", "jobs", "outbound", "adapters"].map((room) => `src/${room}`);
  const ranges: string[] = [];
  let file = "";
  for (const line of git("diff", "--unified=0", "--diff-filter=AM", `${base}...HEAD`, "--", ...rooms).split("\n")) {
    if (line.startsWith("+++ b/")) file = line.slice(6);
    const [, first, count = "1"] = /^@@ -\S+ \+(\d+)(?:,(\d+))? @@/.exec(line) ?? [];
    if (first === undefined || count === "0" || !file.endsWith(".ts")) continue;
    ranges.push(`${file}:${first}-${Number(first) + Number(count) - 1}`);
  }
  return ranges;
}

/**
 * Returns the tests of these rooms, without those that start a process, in which nothing is changed, or take minutes.
 * Those that need a server are included only with `--with-servers`.
 */
function testFilesOf(rooms: readonly string[]): string[] {
  return [...new Set(rooms)]
    .flatMap((room) => globSync(`test/${room}/**/*.test.ts`, { cwd: root }))
    .filter((file) => !/outages|conformance|model|stdio|real-clients|flood/.test(file))
    .filter((file) => withServers || !/redis|postgres/.test(file));
}
