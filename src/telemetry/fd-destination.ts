import { write as writeFile, writeSync } from "node:fs";
import type { DestinationStream } from "pino";

/** Maximum length of text that waits for a slow reader, in UTF-16 units. Further lines are dropped. */
const maxWaiting = 1_048_576;
/**
 * Minimum time between the end of a write and the next one, in milliseconds. Lines that arrive in between are written
 * together, because a write costs more than composing a line.
 */
const gatherMs = 10;
/** Pause before the next write to a full pipe, in milliseconds. */
const retryMs = 20;
/** Number of such attempts by a process that is ending. */
const maxFlushAttempts = 20;

/** A buffered destination of lines: an open file, a pipe or a terminal. */
export interface FdDestination extends DestinationStream {
  /** Number of lines that could not be written. */
  readonly dropped: number;
  /** Writes pending lines synchronously, for up to half a second. For a process that is ending. */
  flush(): void;
}

/**
 * Writes lines to a file descriptor, outside the event loop. DANGER: a pipe that nobody reads is full after 64 KiB. A
 * writer that blocks until it is writable, as pino's own destination does, delays every call of the process.
 */
export function createFdDestination(fd: number): FdDestination {
  let waiting: string[] = [];
  let length = 0;
  /** The current write: its bytes, how many of them are written, and its number of lines. */
  let current: { bytes: Buffer; at: number; lines: number } | undefined;
  /** Whether a write is in progress in the operating system. */
  let pending = false;
  let endedAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let dropped = 0;

  function schedule(): void {
    if (timer !== undefined) return;
    const waitMs = endedAt + gatherMs - performance.now();
    if (waitMs <= 0) next();
    else timer = setTimeout(next, waitMs);
  }

  function next(): void {
    timer = undefined;
    if (current === undefined && waiting.length > 0) {
      current = { bytes: Buffer.from(waiting.join("")), at: 0, lines: waiting.length };
      waiting = [];
      length = 0;
    }
    if (current === undefined) return;
    pending = true;
    writeFile(fd, current.bytes, current.at, current.bytes.length - current.at, null, (error, written) => {
      pending = false;
      if (isFull(error)) return void setTimeout(next, retryMs).unref();
      settle(error, written);
      if (current !== undefined) return next();
      endedAt = performance.now();
      if (waiting.length > 0) schedule();
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
      if (current === undefined) schedule();
    },
    flush() {
      const rest = pending || current === undefined ? [] : [current.bytes.subarray(current.at)];
      const bytes = Buffer.concat([...rest, Buffer.from(waiting.join(""))]);
      waiting = [];
      length = 0;
      let tries = maxFlushAttempts;
      for (let at = 0; at < bytes.length;) {
        try {
          at += writeSync(fd, bytes, at);
        } catch (error) {
          if (!isFull(error) || (tries -= 1) < 0) return;
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, retryMs);
        }
      }
    },
  };
}

function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EAGAIN";
}
