import { setTimeout as wait } from "node:timers/promises";

/** Waits until a condition holds. Rejects after the given time, in milliseconds, with the description of the condition. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 15_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await wait(10);
  }
}
