import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Service } from "../support/service.ts";
import { until } from "../support/until.ts";

/** The resources of the service at one moment. */
export interface Sample {
  /** Requests sent so far. */
  readonly requests: number;
  readonly at: number;
  /** Memory of the process after a garbage collection, in MB: all of it, and the part that JavaScript uses. */
  readonly rssMb: number;
  readonly liveMb: number;
  readonly handles: number;
  /** Rows of the embedded store; undefined with an engine. */
  readonly rows: Rows | undefined;
}

export interface Rows {
  readonly entries: number;
  readonly jobs: number;
}

/** Measures a service that is running and has loaded `collect.ts`. */
export async function measure(service: Service, requests: number, dataDir: string | undefined): Promise<Sample> {
  const said = service.log.length;
  const line = (): string | undefined => service.log.slice(said).find((one) => one.startsWith("memory "));
  service.signal("SIGUSR2");
  await until("the service says what memory it uses", () => line() !== undefined);
  const { rss, live } = JSON.parse(line()!.slice("memory ".length)) as { rss: number; live: number };
  return {
    requests,
    at: performance.now(),
    rssMb: rss / 2 ** 20,
    liveMb: live / 2 ** 20,
    handles: readdirSync(`/proc/${service.pid}/fd`).length,
    rows: dataDir === undefined ? undefined : countRows(dataDir),
  };
}

function countRows(dataDir: string): Rows {
  const database = new DatabaseSync(join(dataDir, "jackfield.db"), { readOnly: true, timeout: 5000 });
  try {
    const count = (table: string): number =>
      Number(database.prepare(`SELECT count(*) AS rows FROM ${table}`).get()?.["rows"]);
    return { entries: count("entries"), jobs: count("jobs") };
  } finally {
    database.close();
  }
}

/** Returns the growth of a quantity per 1,000 requests, by least squares. */
export function slopeOf(samples: readonly Sample[], quantity: (sample: Sample) => number): number {
  const meanX = mean(samples.map(({ requests }) => requests));
  const meanY = mean(samples.map(quantity));
  const above = samples.reduce((sum, one) => sum + (one.requests - meanX) * (quantity(one) - meanY), 0);
  const below = samples.reduce((sum, { requests }) => sum + (requests - meanX) ** 2, 0);
  return below === 0 ? 0 : (above / below) * 1000;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Changes of memory, handles and rows. */
export interface Growth {
  /** MB per 1,000 requests in the last half. */
  readonly rssSlope: number;
  readonly liveSlope: number;
  /** Requests of the last half. */
  readonly requests: number;
  /** Quantities that grew but must not, a sentence for each. */
  readonly problems: readonly string[];
}

/** Maximum growth of memory per 1,000 requests, in MB. */
const maxSlope = 0.02;

/** With fewer requests the noise of the garbage collector exceeds the growth that is looked for. */
const minRequests = 50_000;

/** Looks for growth in the samples of the last half, and compares the final sample with the first. */
export function findGrowth({
  samples: [first],
  late,
  stuck,
  last,
  dead,
  maxRows,
}: {
  readonly samples: readonly Sample[];
  readonly late: readonly Sample[];
  readonly stuck: readonly string[];
  readonly last: Sample;
  /** Dead letters, which are not deleted. */
  readonly dead: number;
  /** Maximum number of rows of each table, given the window. */
  readonly maxRows: number;
}): Growth {
  const requests = (late.at(-1)?.requests ?? 0) - (late[0]?.requests ?? 0);
  const rssSlope = slopeOf(late, ({ rssMb }) => rssMb);
  const liveSlope = slopeOf(late, ({ liveMb }) => liveMb);
  const problems = stuck.map((fault) => `the service was not ready in time after ${fault}`);
  if (requests >= minRequests && rssSlope > maxSlope)
    problems.push(`memory grows by ${rssSlope} MB per 1,000 requests`);
  if (requests >= minRequests && liveSlope > maxSlope)
    problems.push(`memory in use grows by ${liveSlope} MB per 1,000 requests`);
  if (first !== undefined && last.handles > first.handles)
    problems.push(`${last.handles} handles are open, under load there were ${first.handles}`);
  for (const { rows } of late)
    if (rows !== undefined && Math.max(rows.entries, rows.jobs) > maxRows)
      problems.push(`the store held ${rows.entries} entries and ${rows.jobs} jobs`);
  if (last.rows !== undefined && (last.rows.entries > 0 || last.rows.jobs > dead))
    problems.push(`the store holds ${last.rows.entries} entries and ${last.rows.jobs} jobs after everything`);
  return { rssSlope, liveSlope, requests, problems };
}
