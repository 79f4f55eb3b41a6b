import { EventEmitter } from "node:events";
import type { DestinationStream } from "pino";
import { createFdDestination, type FdDestination } from "./fd-destination.ts";

/** A destination that drops unwritable lines instead of failing the writer. */
export interface LogDestination extends DestinationStream {
  /** Number of dropped lines. */
  readonly dropped: number;
  /** Counts a line that could not be built. */
  drop(): void;
  /** Writes pending lines, for a process that is ending. */
  flush(): void;
}

/**
 * Writes log lines to stdout, or to the given stream. DANGER: a full disk or a closed pipe must not end the process, so
 * nothing here throws. A line that cannot be written is counted, and the next one that can be written reports the
 * number.
 */
export function createLogDestination(given: DestinationStream | undefined): LogDestination {
  const out: DestinationStream & Partial<FdDestination> = given ?? createFdDestination(1);
  let failed = 0;
  let reported = 0;
  const drop = (): void => void (failed += 1);
  const dropped = (): number => failed + (out.dropped ?? 0);
  // An `error` event without a listener would end the process.
  if (out instanceof EventEmitter) out.on("error", drop);
  function tryWrite(line: string): boolean {
    const before = dropped();
    try {
      out.write(line);
    } catch {
      drop();
    }
    return dropped() === before;
  }
  return {
    get dropped() {
      return dropped();
    },
    drop,
    flush: () => out.flush?.(),
    write(line) {
      const lost = dropped() - reported;
      if (!tryWrite(line) || lost === 0) return;
      reported += lost;
      tryWrite(
        `${JSON.stringify({ level: "warn", time: new Date().toISOString(), lines: lost, msg: "log lines were dropped: the log could not be written" })}\n`,
      );
    },
  };
}
