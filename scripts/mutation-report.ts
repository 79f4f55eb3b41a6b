// Reads Stryker's JSON reports: the score of each file and of all, and the survivors.
import { readFileSync } from "node:fs";

interface Mutant {
  readonly mutatorName: string;
  readonly status: string;
  readonly replacement?: string;
  readonly location: { readonly start: { readonly line: number; readonly column: number } };
}

interface Report {
  readonly files: Readonly<Record<string, { readonly mutants: readonly Mutant[] }>>;
}

export function readReport(path: string): Report {
  return JSON.parse(readFileSync(path, "utf8")) as Report;
}

/** Returns the mutants that no test noticed, one line each: first those that tests reach, then the others. */
export function survivorsOf({ files }: Report, statuses: readonly string[] = ["Survived"]): string[] {
  return statuses.flatMap((status) =>
    Object.entries(files).flatMap(([file, { mutants }]) =>
      mutants
        .filter((mutant) => mutant.status === status)
        .map(({ location: { start }, mutatorName, replacement }) => {
          const how = status === "Survived" ? "survived" : "not reached";
          return `${how}: ${file}:${start.line}:${start.column} ${mutatorName}: ${oneLine(replacement)}`;
        }),
    ),
  );
}

/** Returns a Markdown table: each file with its score, the score of all, and the survivors below. */
export function table(reports: readonly Report[]): string {
  const mutants = new Map<string, Mutant[]>();
  for (const { files } of reports) {
    for (const [file, one] of Object.entries(files)) mutants.set(file, [...(mutants.get(file) ?? []), ...one.mutants]);
  }
  const rows = [...mutants]
    .map(([file, of]) => ({ file, ...count(of) }))
    .filter(({ all }) => all > 0)
    .toSorted((a, b) => (a.file < b.file ? -1 : 1))
    .map(({ file, detected, all }) => `| \`${file}\` | ${percent(detected / all)} % | ${all - detected} of ${all} |`);
  const survivors = reports.flatMap((report) => survivorsOf(report, ["Survived", "NoCoverage"]));
  return [
    "| file | score | survive |",
    "| --- | ---: | ---: |",
    ...rows,
    "",
    score([...mutants.values()].flat()),
    "",
    ...survivors,
  ].join("\n");
}

function count(mutants: readonly Mutant[]): { detected: number; timeouts: number; all: number } {
  const of = (status: string): number => mutants.filter((mutant) => mutant.status === status).length;
  const timeouts = of("Timeout");
  const detected = of("Killed") + timeouts;
  return { detected, timeouts, all: detected + of("Survived") + of("NoCoverage") };
}

/** Returns the score of a sample with its 95 % interval (Wilson). A timeout counts as detected. */
function score(mutants: readonly Mutant[]): string {
  const { detected, timeouts, all } = count(mutants);
  if (all === 0) return "no mutants";
  const share = detected / all;
  const z = 1.96;
  const middle = (share + z ** 2 / (2 * all)) / (1 + z ** 2 / all);
  const half = (z / (1 + z ** 2 / all)) * Math.sqrt((share * (1 - share)) / all + (z / (2 * all)) ** 2);
  const interval = `${percent(middle - half)}–${percent(middle + half)} %`;
  return `${detected} of ${all} detected (${timeouts} by a timeout): ${percent(share)} %, 95 % interval ${interval}`;
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}

function oneLine(text = ""): string {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length < 100 ? line : `${line.slice(0, 100)}…`;
}
