import { errorMessage } from "../errors.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";

/** Longest time that logs and audit lines get to leave a process that has to end, in milliseconds. */
const flushMs = 2000;

/** Where errors arrive that nothing catches: `process`. */
export interface StrayErrorSource {
  on(event: "unhandledRejection" | "uncaughtException", listener: (reason: unknown) => void): unknown;
  exit(code: number): never;
}

/**
 * Handles errors that nothing catches. A rejection, as a tool leaves it behind after its answer, is counted and logged. An
 * exception leaves the process in an unknown state: it ends after the flush, and another process takes over. DANGER: these
 * handlers must not throw, or the process dies without a word.
 */
export function handleStrayErrors(
  source: StrayErrorSource,
  { log, metrics, close }: Pick<Telemetry, "log" | "metrics" | "close">,
): void {
  const measure = metrics.measureFor([
    {
      name: "jackfield.stray_errors",
      kind: "counter",
      description: "Rejections that nothing handled.",
      labels: [],
    },
  ]);
  source.on("unhandledRejection", (reason) => {
    quietly(() => measure("jackfield.stray_errors", {}, 1));
    quietly(() => log.error({ err: reason }, "unhandled rejection"));
  });
  let ending = false;
  source.on("uncaughtException", (reason) => {
    quietly(() => log.fatal({ err: reason }, "uncaught exception: the process ends"));
    if (ending) return;
    ending = true;
    setTimeout(() => source.exit(1), flushMs);
    close().then(
      () => source.exit(1),
      (error: unknown) => {
        quietly(() => log.error({ error: errorMessage(error) }, "telemetry could not be flushed"));
        source.exit(1);
      },
    );
  });
}

function quietly(action: () => void): void {
  try {
    action();
  } catch {
    // Nothing can be said any more.
  }
}
