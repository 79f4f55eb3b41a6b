import { EventEmitter } from "node:events";
import { pino } from "pino";
import type { DestinationStream } from "pino";

/** Longest text that waits for a destination that cannot take it, in characters. Further lines are dropped. */
const maxWaiting = 1_048_576;

/** A destination that drops what it cannot write, instead of failing its writer. */
export interface LogDestination extends DestinationStream {
  /** Lines that were dropped so far. */
  readonly dropped: number;
  /** Counts a line that could not be made. */
  drop(): void;
}

/**
 * Writes log lines to stdout, or to the given stream. DANGER: a full disk or a closed pipe must not end the process, so
 * nothing here throws: a line that cannot be written is counted, and the next line that can be written tells how many.
 */
export function createLogDestination(given: DestinationStream | undefined): LogDestination {
  const out = given ?? pino.destination({ dest: 1, sync: true, maxLength: maxWaiting });
  let dropped = 0;
  let untold = 0;
  const drop = (): void => {
    dropped += 1;
    untold += 1;
  };
  if (out instanceof EventEmitter) {
    out.on("error", drop);
    out.on("drop", drop);
  }
  function tryWrite(line: string): boolean {
    const before = dropped;
    try {
      out.write(line);
    } catch {
      drop();
    }
    return dropped === before;
  }
  return {
    get dropped() {
      return dropped;
    },
    drop,
    write(line) {
      const lost = untold;
      if (!tryWrite(line) || lost === 0) return;
      untold = 0;
      tryWrite(
        `${JSON.stringify({ level: "warn", time: new Date().toISOString(), lines: lost, msg: "log lines were dropped: the log could not be written" })}\n`,
      );
    },
  };
}
