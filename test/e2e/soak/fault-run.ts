import { setTimeout as wait } from "node:timers/promises";
import type { Random } from "../../../src/sandbox/random.ts";
import { until } from "../support/until.ts";
import { drawFault, type FaultKind, type Parts } from "./faults.ts";
import type { Sample } from "./watch.ts";

/** The faults and the samples between them. */
export interface FaultRun {
  /** Number of faults by name. */
  readonly faults: ReadonlyMap<string, number>;
  readonly samples: readonly Sample[];
  /** The samples of the last half. */
  readonly late: readonly Sample[];
  /** Faults after which the service did not become ready. */
  readonly stuck: readonly string[];
}

/** Minimum and maximum pause between two faults, in milliseconds. */
const between = [1000, 6000] as const;

/** Maximum time until the service is ready after a fault, in milliseconds. */
const readyMs = 40_000;

/**
 * Injects one fault after the other, in an order that the seed determines, all kinds equally often. Measures the service
 * before each fault, when it has recovered from the previous one.
 */
export async function runFaults(options: {
  readonly durationMs: number;
  readonly kinds: readonly FaultKind[];
  readonly parts: Parts;
  readonly random: Random;
  readonly measure: () => Promise<Sample>;
  /** Called once a minute. */
  readonly onMinute: (minute: number, sample: Sample, faults: number) => void;
}): Promise<FaultRun> {
  const { durationMs, kinds, parts, random, measure, onMinute } = options;
  const faults = new Map<string, number>();
  const samples: Sample[] = [];
  const stuck: string[] = [];
  const startedAt = performance.now();
  const passedMs = (): number => performance.now() - startedAt;
  let half = 0;
  let minute = 0;
  let count = 0;
  let bag: FaultKind[] = [];

  async function suffer(kind: FaultKind): Promise<void> {
    const fault = drawFault(kind, parts, random);
    const end = await fault.begin();
    await wait(random.between(...fault.lasts));
    await end();
    const name = `${kind}: ${fault.name}`;
    faults.set(name, (faults.get(name) ?? 0) + 1);
    count += 1;
    await until("the service is ready", () => isReady(parts.service.url), readyMs).catch(() => stuck.push(name));
  }

  while (passedMs() < durationMs) {
    await wait(random.between(...between));
    const sample = await measure();
    samples.push(sample);
    if (passedMs() < durationMs / 2) half = samples.length;
    if (passedMs() >= (minute + 1) * 60_000) {
      minute = Math.floor(passedMs() / 60_000);
      onMinute(minute, sample, count);
    }
    if (bag.length === 0) bag = shuffled(kinds, random);
    const kind = bag.pop();
    // Memory is judged in one process that is warmed up: nothing is killed after two fifths of the time.
    if (kind !== undefined && (kind !== "kill" || passedMs() < durationMs * 0.4)) await suffer(kind);
  }
  return { faults, samples, late: samples.slice(half), stuck };
}

async function isReady(url: string): Promise<boolean> {
  const response = await fetch(`${url}/readyz`).catch(() => undefined);
  await response?.text();
  return response?.status === 200;
}

function shuffled(kinds: readonly FaultKind[], random: Random): FaultKind[] {
  return kinds
    .map((kind) => ({ kind, at: random.between(0, 1_000_000) }))
    .toSorted((one, other) => one.at - other.at)
    .map(({ kind }) => kind);
}
