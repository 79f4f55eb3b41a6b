import { setTimeout as wait } from "node:timers/promises";
import { openConnections, type Target } from "../load/load.ts";

/** Latencies of ordinary calls in milliseconds, ascending, and the number of bad answers. */
export interface SteadyResult {
  readonly latencies: readonly number[];
  readonly bad: number;
}

/**
 * Makes calls at a steady rate, however long the answers take, and sleeps between them: the attacker has the rest of the core.
 * A call that finds no free connection waits for one, and the wait is part of its latency.
 */
export async function steadyCalls(
  target: Target,
  options: { connections: number; perSecond: number; seconds: number; number: () => number },
): Promise<SteadyResult> {
  const free = await openConnections(target, options.connections);
  const all = [...free];
  const waiting: number[] = [];
  const latencies: number[] = [];
  let bad = 0;
  const send = (connection: (typeof all)[number], due: number): void => {
    connection.request(target.body(options.number()), (good) => {
      latencies.push(performance.now() - due);
      if (!good) bad += 1;
      const next = waiting.shift();
      if (next === undefined) free.push(connection);
      else send(connection, next);
    });
  };
  const startedAt = performance.now();
  const total = options.perSecond * options.seconds;
  for (let sent = 0; sent < total; sent++) {
    await wait(Math.max(0, startedAt + (sent * 1000) / options.perSecond - performance.now()));
    const connection = free.pop();
    if (connection === undefined) waiting.push(performance.now());
    else send(connection, performance.now());
  }
  for (let times = 0; times < 100 && latencies.length < total; times++) await wait(50);
  for (const connection of all) connection.close();
  return { latencies: latencies.sort((a, b) => a - b), bad: bad + total - latencies.length };
}
