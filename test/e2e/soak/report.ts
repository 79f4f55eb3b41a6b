import type { Dead, History, Verdict } from "./history.ts";
import type { Load } from "./load.ts";
import type { FaultRun } from "./fault-run.ts";
import type { SoakPlatform } from "./platform.ts";
import type { Growth, Sample } from "./watch.ts";

/** All findings. */
export interface Findings {
  readonly load: Load;
  readonly history: History;
  readonly platform: SoakPlatform;
  readonly ordeal: FaultRun;
  readonly dead: Dead;
  readonly verdict: Verdict;
  readonly growth: Growth;
  readonly last: Sample;
}

/** Prints tables of the load and the findings. Returns whether every promise was kept. */
export function printReport(findings: Findings): boolean {
  const { load, history, platform, dead, verdict, growth, last } = findings;
  const { faults, late } = findings.ordeal;
  console.table(Object.fromEntries(load.sent));
  console.table(Object.fromEntries([...faults].toSorted(([one], [other]) => one.localeCompare(other))));
  const deliveries = [...platform.deliveries.values()];
  const counts = Object.entries(verdict).map(
    ([kind, list]: [string, readonly string[]]) => [kind, list.length] as const,
  );
  const maxOf = (quantity: (sample: Sample) => number): number => Math.max(...late.map(quantity));
  const minOf = (quantity: (sample: Sample) => number): number => Math.min(...late.map(quantity));
  console.table({
    requests: load.requests,
    ...history.ends,
    "batches accepted": history.accepted.size,
    "jobs delivered": deliveries.filter(({ taken }) => taken > 0).length,
    "tries of deliveries": deliveries.reduce((sum, { tries }) => sum + tries, 0),
    "dead letters": dead.size,
    ...Object.fromEntries(counts),
    "requests of the last half": growth.requests,
    "MB per 1,000 requests": round(growth.rssSlope, 4),
    "MB in use per 1,000 requests": round(growth.liveSlope, 4),
    "MB in the last half": `${round(minOf(({ rssMb }) => rssMb))} to ${round(maxOf(({ rssMb }) => rssMb))}`,
    "MB after everything": round(last.rssMb),
    "handles in the last half": `${minOf(({ handles }) => handles)} to ${maxOf(({ handles }) => handles)}`,
    "handles after everything": last.handles,
    "most entries": maxOf(({ rows }) => rows?.entries ?? 0),
    "most jobs": maxOf(({ rows }) => rows?.jobs ?? 0),
    "entries after everything": last.rows?.entries ?? 0,
    "jobs after everything": last.rows?.jobs ?? 0,
  });
  const broken = [
    ...Object.entries(verdict).flatMap(([kind, list]: [string, readonly string[]]) =>
      list.slice(0, 10).map((one) => `${kind}: ${one}`),
    ),
    ...growth.problems.slice(0, 10),
  ];
  for (const line of broken) console.log(line);
  for (const [id, error] of dead) console.log(`dead letter ${id}: ${error}`);
  return broken.length === 0;
}

function round(value: number, digits = 1): number {
  return Number(value.toFixed(digits));
}
