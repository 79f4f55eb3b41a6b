import { closeSync, fstatSync, ftruncateSync, mkdirSync, openSync, readSync } from "node:fs";
import { close, fsync, ftruncate, write } from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { chainStart, sealOf } from "./audit-chain.ts";

/** The destination of audit lines. */
export interface AuditSink {
  /** Hash from which the first new batch continues. */
  readonly previous: string;
  /** Complete lines after it that were never sealed, because the process died while writing them. */
  readonly open: string;
  /** Number of bytes of an incomplete last line that were removed when the file was opened. */
  readonly tornBytes: number;
  /** Appends lines completely, or not at all: then it rejects. */
  append(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Writes lines to stderr. There is nothing to continue from, so each process starts a new chain. */
export function stderrSink(stream: NodeJS.WritableStream): AuditSink {
  return {
    previous: chainStart,
    open: "",
    tornBytes: 0,
    append: (bytes) =>
      new Promise((done, failed) => void stream.write(bytes, (reason) => (reason ? failed(reason) : done()))),
    close: () => Promise.resolve(),
  };
}

const writeTo = promisify(write);
const truncateTo = promisify(ftruncate);
const sync = promisify(fsync);
const closeFile = promisify(close);

/** Opens an audit file, creates its folder, and continues from its last line. Throws errors of the file system. */
export function fileSink(path: string): AuditSink {
  // Usually the data folder, which holds arguments and answers: private to its owner.
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const file = openSync(path, "a+", 0o600);
  let size = fstatSync(file).size;
  let tail: Tail;
  try {
    tail = readTail(file, size);
    if (tail.torn > 0) ftruncateSync(file, (size -= tail.torn));
  } catch (reason) {
    closeSync(file);
    throw reason;
  }
  return {
    previous: tail.previous,
    open: tail.open,
    tornBytes: tail.torn,
    async append(bytes) {
      try {
        let written = 0;
        while (written < bytes.length) {
          const { bytesWritten } = await writeTo(file, bytes, written, bytes.length - written);
          written += bytesWritten;
        }
        size += bytes.length;
      } catch (reason) {
        // A full disk may have taken a part; without truncating, the next attempt would follow an incomplete line.
        await truncateTo(file, size).catch(() => undefined);
        throw reason;
      }
    },
    async close() {
      await sync(file).catch(() => undefined);
      await closeFile(file);
    },
  };
}

interface Tail {
  readonly previous: string;
  readonly open: string;
  readonly torn: number;
}

/**
 * Reads the last seal, the complete lines after it, and the number of bytes of an incomplete line that a crash left.
 */
function readTail(file: number, size: number): Tail {
  for (let length = Math.min(size, 65_536); ; length = Math.min(size, length * 4)) {
    const bytes = Buffer.alloc(length);
    readSync(file, bytes, 0, length, size - length);
    const end = bytes.lastIndexOf(10) + 1;
    const torn = length - end;
    for (let from = end; from > 0;) {
      const start = from === 1 ? 0 : bytes.lastIndexOf(10, from - 2) + 1;
      if (start === 0 && length < size) break;
      const previous = sealOf(bytes.toString("utf8", start, from - 1));
      if (previous !== undefined) return { previous, open: bytes.toString("utf8", from, end), torn };
      from = start;
    }
    if (length === size) return { previous: chainStart, open: bytes.toString("utf8", 0, end), torn };
  }
}
