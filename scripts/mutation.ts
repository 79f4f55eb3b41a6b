// Mutation tests by StrykerJS: changes the code in one place after the other and runs the tests against each change.
//
//   npm run mutation                                          everything, which takes hours
//   npm run mutation -- --mutate src/jobs/backoff.ts          other words go to Stryker as they are
//   npm run mutation -- --since main [--seconds 120]          only the lines that changed since a commit, within a time
//   npm run mutation -- --table REPORT.json…                  the score of each file and what survives, from JSON reports
//
// `--since` fails where a change survives that the tests of its room run through. What was not reached in time is not
// counted: the next run of everything sees it.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface Mutant {
  readonly mutatorName: string;
  readonly status: string;
  readonly replacement?: string;
  readonly location: { readonly start: { readonly line: number } };
}

interface Report {
  readonly files: Readonly<Record<string, { readonly mutants: readonly Mutant[] }>>;
}

const root = join(import.meta.dirname, "..");
const stryker = join(root, "node_modules/@stryker-mutator/core/bin/stryker.js");
const args = process.argv.slice(2);
const since = valueOf("--since");

if (args.includes("--table")) console.log(table(args.slice(args.indexOf("--table") + 1).map(readReport)));
else if (since === undefined) process.exitCode = await run(args);
else process.exitCode = await runSince(since, Number(valueOf("--seconds") ?? 120));

function valueOf(name: string): string | undefined {
  const at = args.indexOf(name);
  return at === -1 ? undefined : args[at + 1];
}

/** Runs Stryker, at most for so long. Resolves with its exit code. */
async function run(words: readonly string[], seconds?: number): Promise<number> {
  const child = spawn(process.execPath, [stryker, "run", ...words], { cwd: root, stdio: "inherit" });
  const timer = seconds === undefined ? undefined : setTimeout(() => child.kill("SIGINT"), seconds * 1000);
  const [code] = (await once(child, "exit")) as [number | null];
  clearTimeout(timer);
  return code ?? 130;
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
  const config = JSON.parse(readFileSync(join(root, "stryker.config.json"), "utf8")) as Record<string, unknown>;
  const folder = mkdtempSync(join(tmpdir(), "jackfield-mutation-"));
  const reportFile = join(folder, "report.json");
  const configFile = join(folder, "stryker.config.json");
  const own = { mutate, testFiles: testFilesOf(mutate), incremental: false };
  const reporting = { reporters: ["json", "clear-text"], jsonReporter: { fileName: reportFile } };
  writeFileSync(configFile, JSON.stringify({ ...config, ...own, ...reporting, tempDirName: ".stryker-tmp/since" }));
  console.log(`mutation: ${mutate.join(" ")}`);
  try {
    await run([configFile], seconds);
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

function git(...words: string[]): string {
  return execFileSync("git", words, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

function isCommit(name: string): boolean {
  try {
    git("rev-parse", "--verify", "--quiet", `${name}^{commit}`);
    return true;
  } catch {
    return false;
  }
}

/** What has changed since the base in the rooms under mutation, in Stryker's words: `FILE:FIRST-LAST`. */
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

/** The tests of the rooms of these files, without those that need a server: more takes longer than a short run has. */
function testFilesOf(mutate: readonly string[]): string[] {
  const rooms = new Set(mutate.map((one) => one.split("/")[1]));
  return [...rooms]
    .flatMap((room) => globSync(`test/${room}/**/*.test.ts`, { cwd: root }))
    .filter((file) => !/redis|postgres|outages|conformance|model/.test(file));
}

function readReport(path: string): Report {
  return JSON.parse(readFileSync(path, "utf8")) as Report;
}

function survivorsOf({ files }: Report): string[] {
  return Object.entries(files).flatMap(([file, { mutants }]) =>
    mutants
      .filter(({ status }) => status === "Survived")
      .map((one) => `survived: ${file}:${one.location.start.line} ${one.mutatorName}: ${oneLine(one.replacement)}`),
  );
}

/** A table in Markdown: each file with its score, and below what survives. */
function table(reports: readonly Report[]): string {
  const rows = reports.flatMap(({ files }) =>
    Object.entries(files).map(([file, { mutants }]) => {
      const count = (...statuses: string[]): number => mutants.filter(({ status }) => statuses.includes(status)).length;
      const detected = count("Killed", "Timeout");
      const all = detected + count("Survived", "NoCoverage");
      return { file, detected, all };
    }),
  );
  const lines = rows
    .filter(({ all }) => all > 0)
    .toSorted((a, b) => (a.file < b.file ? -1 : 1))
    .map(
      ({ file, detected, all }) =>
        `| \`${file}\` | ${((100 * detected) / all).toFixed(0)} % | ${all - detected} of ${all} |`,
    );
  return ["| file | score | survive |", "| --- | ---: | ---: |", ...lines, "", ...reports.flatMap(survivorsOf)].join(
    "\n",
  );
}

function oneLine(text = ""): string {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length < 100 ? line : `${line.slice(0, 100)}…`;
}
