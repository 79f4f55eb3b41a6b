import { errorMessage } from "../error-message.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";

/** Maximum time to flush logs and audit lines before the process ends, in milliseconds. */
const flushMs = 2000;

/** The source of unhandled errors: `process`. */
export interface StrayErrorSource {
  on(event: "unhandledRejection" | "uncaughtException", listener: (reason: unknown) => void): unknown;
  exit(code: number): never;
}

/**
 * Handles unhandled errors. A rejection, such as a tool leaves behind after its answer, is counted and logged. An
 * exception leaves the process in an undefined state: it exits after a flush, and its supervisor starts another.
 * DANGER: these handlers must not throw, or the process dies silently.
 */
export function handleStrayErrors(
  source: StrayErrorSource,
  { log, metrics, close }: Pick<Telemetry, "log" | "metrics" | "close">,
): void {
  const measure = metrics.measureFor([
    {
      name: "jackfield.stray_errors",
      kind: "counter",
      description: "Unhandled rejections.",
      labels: [],
    },
  ]);
  source.on("unhandledRejection", (reason) => {
    ignoreErrors(() => measure("jackfield.stray_errors", {}, 1));
    ignoreErrors(() => log.error({ err: reason }, "unhandled rejection"));
  });
  let ending = false;
  source.on("uncaughtException", (reason) => {
    ignoreErrors(() => log.fatal({ err: reason }, "uncaught exception: the process ends"));
    if (ending) return;
    ending = true;
    setTimeout(() => source.exit(1), flushMs);
    close().then(
      () => source.exit(1),
      (error: unknown) => {
        ignoreErrors(() => log.error({ error: errorMessage(error) }, "telemetry could not be flushed"));
        source.exit(1);
      },
    );
  });
}

function ignoreErrors(action: () => void): void {
  try {
    action();
  } catch {
    // No further output is possible.
  }
}
