import { execFileSync } from "node:child_process";
import { cpus, loadavg, release, totalmem, type } from "node:os";
import { root } from "./program.ts";
import type { Cores } from "./cores.ts";
import { type RowResult, median, type Ratio } from "./row.ts";
import { measuredConfiguration } from "./service.ts";

/** A row and its result. */
export interface Result {
  readonly name: string;
  readonly title: string;
  readonly measured: RowResult;
}

/** The conditions of the measurement. */
export interface Conditions {
  readonly cores: Cores;
  readonly rounds: number;
  readonly seconds: number;
  /** Load average over a minute at the start: the other work on the machine. */
  readonly loadBefore: number;
  readonly startedAt: Date;
}

/** Returns the load average of the last minute. */
export function loadNow(): number {
  return loadavg()[0] ?? 0;
}

/** Describes a ratio: the median, its spread and whether the goal is met. */
export function describeRatio({ name, values, byCpu, goal, atMost }: Ratio): string {
  const middle = median(values);
  const spread = `${figure(Math.min(...values))}–${figure(Math.max(...values))}`;
  const cpu =
    byCpu === undefined
      ? ""
      : `; by CPU time ${figure(median(byCpu))} (${figure(Math.min(...byCpu))}–${figure(Math.max(...byCpu))})`;
  return `${name}: ${figure(middle)} (${spread}${cpu})${goal === undefined ? "" : `, goal ${atMost === true ? "≤" : "≥"} ${goal}: ${verdict(middle, goal, atMost)}`}`;
}

function verdict(value: number, goal: number, atMost = false): string {
  return (atMost ? value <= goal : value >= goal) ? "met" : "NOT MET";
}

/** Formats a figure with its significant digits. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en-US");
  return value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);
}

/** Returns the page of results. */
export function resultsPage(results: readonly Result[], conditions: Conditions): string {
  const { cores, rounds, seconds, loadBefore, startedAt } = conditions;
  const [cpu] = cpus();
  const parts = [
    "# Results of `npm run bench`",
    "",
    "Written by `bench/main.ts`; not edited by hand. What the figures mean, and what bends first, stands in [docs/performance.md](../docs/performance.md).",
    "",
    `- **When:** ${startedAt.toISOString().slice(0, 16).replace("T", " ")} UTC, commit ${commit()}`,
    `- **Machine:** ${cpus().length} × ${cpu?.model ?? "unknown"}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${type()} ${release()}, Node ${process.versions.node}`,
    `- **Cores:** ${cores.description}`,
    `- **Method:** both sides in one run, in turn; ${rounds} rounds of ${seconds} s each after a warm-up; medians, with the lowest and highest of the rounds`,
    `- **Other work on the machine:** load average ${loadBefore.toFixed(2)} at the start, ${loadNow().toFixed(2)} at the end, the benchmark included`,
    `- **On in the measured service:** ${measuredConfiguration}`,
    "- **On in the peers:** nothing but the work: they validate the same arguments with Ajv and give the same answer, without keys, limits, metrics, audit or ledger",
    "",
    "“By CPU time” compares the processor time that the servers take per request (all their threads) instead of requests per second: it suffers less from other work on the machine.",
    "",
    "| row | ratio | median | lowest–highest | by CPU time | goal | |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...results.flatMap(({ title, measured }) => ratioRows(title, measured)),
    "",
    "![Ratios against their goals](results.svg)",
    "",
    ...results.flatMap(({ name, title, measured }) => details(name, title, measured)),
  ];
  return `${parts.join("\n").trimEnd()}\n`;
}

function ratioRows(title: string, { ratios, notes }: RowResult): string[] {
  if (ratios.length === 0) return [`| ${title} | – | – | – | – | – | ${notes[0] ?? ""} |`];
  return ratios.map(({ name, values, byCpu, goal, atMost }) => {
    const middle = median(values);
    const spread = `${figure(Math.min(...values))}–${figure(Math.max(...values))}`;
    const target = goal === undefined ? "–" : `${atMost === true ? "≤" : "≥"} ${goal}`;
    return `| ${title} | ${name} | **${figure(middle)}** | ${spread} | ${byCpu === undefined ? "–" : figure(median(byCpu))} | ${target} | ${goal === undefined ? "" : verdict(middle, goal, atMost)} |`;
  });
}

function details(name: string, title: string, { unit, sides, notes }: RowResult): string[] {
  const rows = sides.map(({ name: side, values, cpuMicros }) => {
    const cpu = cpuMicros === undefined ? "–" : figure(median(cpuMicros));
    return `| ${side} | ${figure(median(values))} | ${values.map(figure).join(", ")} | ${cpu} |`;
  });
  const table =
    rows.length === 0
      ? []
      : [`| | ${unit}, median | rounds | µs CPU per request |`, "| --- | --- | --- | --- |", ...rows, ""];
  return [
    `## ${title} (\`npm run bench -- ${name}\`)`,
    "",
    ...table,
    ...notes.map((note) => `- ${note}`),
    ...(notes.length > 0 ? [""] : []),
  ];
}

function commit(): string {
  try {
    const git = (...args: string[]): string => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
    const changed = git("status", "--porcelain", "src", "plugins", "gen") === "" ? "" : " with changes";
    return `${git("rev-parse", "--short", "HEAD")}${changed}`;
  } catch {
    return "unknown";
  }
}
