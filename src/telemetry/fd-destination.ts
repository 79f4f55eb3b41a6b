import { write as writeFile, writeSync } from "node:fs";
import type { DestinationStream } from "pino";

/** Longest text that waits for a reader that is behind, in UTF-16 units. Further lines are dropped. */
const maxWaiting = 1_048_576;
/** Pause before a pipe that is full is tried again, in milliseconds. */
const fullAgainMs = 20;
/** How often a process that ends tries it again. */
const lastTries = 20;

/** Lines on their way to an open file, a pipe or a terminal. */
export interface FdDestination extends DestinationStream {
  /** Lines that could not be written. */
  readonly dropped: number;
  /** Writes what waits at once; gives up where that takes longer than half a second. For a process that ends. */
  flush(): void;
}

/**
 * Writes lines to a file descriptor, beside the event loop. DANGER: a pipe that nobody reads is full after 64 KiB. Whoever
 * waits until it can be written, as pino's own destination does, holds up every call of the process meanwhile.
 */
export function createFdDestination(fd: number): FdDestination {
  let waiting: string[] = [];
  let length = 0;
  /** What is being written: its bytes, how many of them are out, and its lines. */
  let current: { bytes: Buffer; at: number; lines: number } | undefined;
  /** The system has been asked to write, and has not answered. */
  let pending = false;
  let dropped = 0;

  function next(): void {
    if (current === undefined && waiting.length > 0) {
      current = { bytes: Buffer.from(waiting.join("")), at: 0, lines: waiting.length };
      waiting = [];
      length = 0;
    }
    if (current === undefined) return;
    pending = true;
    writeFile(fd, current.bytes, current.at, current.bytes.length - current.at, null, (error, written) => {
      pending = false;
      if (isFull(error)) return void setTimeout(next, fullAgainMs).unref();
      settle(error, written);
      next();
    });
  }

  function settle(error: Error | null, written: number): void {
    if (current === undefined) return;
    current.at += written;
    if (error !== null) dropped += current.lines;
    if (error !== null || current.at >= current.bytes.length) current = undefined;
  }

  return {
    get dropped() {
      return dropped;
    },
    write(line) {
      if (length + line.length > maxWaiting) {
        dropped += 1;
        return;
      }
      waiting.push(line);
      length += line.length;
      if (current === undefined) next();
    },
    flush() {
      const rest = pending || current === undefined ? [] : [current.bytes.subarray(current.at)];
      const bytes = Buffer.concat([...rest, Buffer.from(waiting.join(""))]);
      waiting = [];
      length = 0;
      let tries = lastTries;
      for (let at = 0; at < bytes.length;) {
        try {
          at += writeSync(fd, bytes, at);
        } catch (error) {
          if (!isFull(error) || (tries -= 1) < 0) return;
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, fullAgainMs);
        }
      }
    },
  };
}

function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EAGAIN";
}
