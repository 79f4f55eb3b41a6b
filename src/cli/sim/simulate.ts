import { setTimeout as wait } from "node:timers/promises";
import { createRandom } from "../../sandbox/random.ts";
import type { FaultPlan } from "./fault-plan.ts";
import { startReceiver } from "./receiver.ts";
import { sendAll, type SenderOptions } from "./sender.ts";
import { createTally, type SimReport } from "./tally.ts";
import { createTraffic, type TrafficOptions } from "./traffic.ts";

/** Options of a simulation. */
export interface Simulation {
  readonly traffic: Omit<TrafficOptions, "random">;
  readonly sender: Omit<SenderOptions, "onAnswer">;
  /** Receiver of deliveries. Undefined: none. */
  readonly receiver:
    | { readonly host?: string; readonly port: number; readonly faults: FaultPlan; readonly slowMs?: number }
    | undefined;
  readonly seed: string;
  /** Maximum wait for deliveries after the last answer, in milliseconds. */
  readonly settleMs: number;
  /** Receives a progress line from time to time. */
  readonly onProgress?: (line: string) => void;
}

/** Simulates the platforms: sends, receives, and reports. Rejects only if the receiver cannot listen. */
export async function simulate({
  traffic,
  sender,
  receiver,
  seed,
  settleMs,
  onProgress,
}: Simulation): Promise<SimReport> {
  const tally = createTally();
  await using _platform =
    receiver &&
    (await startReceiver({
      ...receiver,
      random: createRandom(`${seed} deliveries`),
      onDelivery: (delivery) => tally.delivery(delivery),
    }));
  const progress = setInterval(() => onProgress?.(`${tally.answers} answers, ${tally.open} deliveries open`), 2000);
  try {
    await sendAll(createTraffic({ ...traffic, random: createRandom(`${seed} traffic`) }), {
      ...sender,
      onAnswer: (answered) => tally.answered(answered),
    });
    const until = performance.now() + settleMs;
    if (receiver !== undefined) while (tally.open > 0 && performance.now() < until) await wait(50);
    return tally.report(receiver !== undefined);
  } finally {
    clearInterval(progress);
  }
}
