import type { Cores } from "./cores.ts";
import type { LoadResult, Target } from "./load/load.ts";
import { closedLoop } from "./load/load.ts";
import type { Program } from "./program.ts";

/** The settings that all rows share. */
export interface Bench {
  readonly cores: Cores;
  readonly rounds: number;
  /** Seconds of load per side and round after the warm-up. */
  readonly seconds: number;
  readonly warmSeconds: number;
  /** URL of the sink of spans and deliveries. */
  readonly sink: string;
  readonly number: () => number;
  /** Maximum number of rows of the ledger in the growth tables: ten million take 6 GB of disk and some minutes. */
  readonly maxRows: number;
  print(line: string): void;
}

/** One side of a row: a program or a mode of it, with one figure per round. */
export interface Side {
  readonly name: string;
  readonly values: number[];
  /** Processor time of the server per request in microseconds, one figure per round. */
  readonly cpuMicros?: number[];
}

/** A ratio of two sides against its goal. `atMost`: smaller is better. */
export interface Ratio {
  readonly name: string;
  readonly values: number[];
  /** The same ratio, of processor time per request instead of requests per second. */
  readonly byCpu?: number[];
  readonly goal?: number;
  readonly atMost?: boolean;
}

/** The result of a row. */
export interface RowResult {
  readonly unit: string;
  readonly sides: readonly Side[];
  readonly ratios: readonly Ratio[];
  readonly notes: readonly string[];
}

/** One row of the goals table. */
export interface Row {
  readonly name: string;
  readonly title: string;
  run(bench: Bench): Promise<RowResult>;
}

/** A program under load. */
export interface Contestant {
  readonly name: string;
  readonly program: Program;
  readonly target: Target;
}

/** Requests in flight: connections times requests on each. */
export const inFlight = {
  http1: { connections: 64, perConnection: 1 },
  http2: { connections: 4, perConnection: 16 },
} as const;

/** Seconds of load on each program before the first round, until its code is compiled and optimised. */
const firstRoundSeconds = 8;

/** Loads the programs in turn, round after round. All others are suspended. */
export async function alternate(
  bench: Bench,
  contestants: readonly Contestant[],
): Promise<{ sides: Side[]; notes: string[] }> {
  const sides = contestants.map(({ name }) => ({ name, values: [] as number[], cpuMicros: [] as number[] }));
  const notes = new Set<string>();
  for (const { program } of contestants) program.pause();
  for (const { program, target } of contestants) {
    program.resume();
    await load({ ...bench, seconds: firstRoundSeconds }, program, target);
    program.pause();
  }
  for (let round = 0; round < bench.rounds; round++) {
    for (const [index, contestant] of contestants.entries()) {
      contestant.program.resume();
      const loaded = await load(bench, contestant.program, contestant.target);
      contestant.program.pause();
      record(bench, sides[index]!, loaded, notes);
    }
  }
  return { sides, notes: [...notes] };
}

/** Loads one side for a round. */
export function load(bench: Bench, program: Program, target: Target): Promise<LoadResult> {
  const { seconds, warmSeconds, number } = bench;
  return closedLoop(target, {
    ...inFlight[target.protocol],
    seconds,
    warmSeconds,
    number,
    cpuSeconds: () => program.cpuSeconds(),
  });
}

/** Adds the result of a load to its side, and remarks on it to the notes. */
export function record(bench: Bench, side: Side, loaded: LoadResult, notes: Set<string>): void {
  side.values.push(loaded.perSecond);
  side.cpuMicros?.push(loaded.cpuMicros);
  if (loaded.bad > 0) notes.add(`${side.name} answered some requests badly: its figure does not count`);
  if (loaded.serverBusy < 0.9)
    notes.add(`${side.name} was not busy all the time: the load generator or its disk was the limit`);
  bench.print(
    `  ${side.name}: ${Math.round(loaded.perSecond)}/s, ${loaded.cpuMicros.toFixed(1)} µs CPU${loaded.bad > 0 ? `, ${loaded.bad} bad` : ""}`,
  );
}

/** Returns the ratio of two sides, round by round. */
export function ratio(sides: readonly Side[], of: string, to: string, goal?: number, atMost = false): Ratio {
  const top = sides.find(({ name }) => name === of)!;
  const bottom = sides.find(({ name }) => name === to)!;
  const { cpuMicros } = top;
  return {
    name: `${of} / ${to}`,
    values: top.values.map((value, index) => value / bottom.values[index]!),
    ...(cpuMicros !== undefined && { byCpu: cpuMicros.map((value, index) => bottom.cpuMicros![index]! / value) }),
    ...(goal !== undefined && { goal }),
    atMost,
  };
}

/** Returns the median. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
