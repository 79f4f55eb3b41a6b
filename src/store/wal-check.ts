import { readFileSync, statSync } from "node:fs";

/** What is wrong with a write-ahead log. */
export interface WalDamage {
  /** Committed transactions that are known to be unreadable. */
  readonly lostCommits: number;
  /** True where acknowledged work is lost for sure; false where an interrupted last write explains it. */
  readonly certain: boolean;
}

const headerBytes = 32;
const frameHeaderBytes = 24;

/**
 * Looks for committed frames behind a damaged one. SQLite itself reads a log up to its first bad frame and takes the rest
 * for a stale tail. But frames that carry the salt of the header were written by the present generation of the log, and
 * each commit was synced before the next began: more than one commit behind a bad frame, or a log that is shorter than its
 * index says, is a loss.
 */
export function checkWal(database: string): WalDamage | undefined {
  const wal = readIfThere(`${database}-wal`);
  if (wal === undefined || wal.length < headerBytes) return undefined;
  const magic = wal.readUInt32BE(0);
  if (magic !== 0x377f0682 && magic !== 0x377f0683) return { lostCommits: 0, certain: true };
  const littleEndian = magic === 0x377f0682;
  const frameBytes = frameHeaderBytes + pageSizeOf(wal);
  const salt = wal.subarray(16, 24);
  let sum = checksum(wal.subarray(0, 24), [0, 0], littleEndian);
  if (sum[0] !== wal.readUInt32BE(24) || sum[1] !== wal.readUInt32BE(28)) return { lostCommits: 0, certain: true };

  const frames = Math.floor((wal.length - headerBytes) / frameBytes);
  let valid = 0;
  for (; valid < frames; valid++) {
    const at = headerBytes + valid * frameBytes;
    const frame = wal.subarray(at, at + frameBytes);
    if (!frame.subarray(8, 16).equals(salt)) break;
    const next = checksum(
      frame.subarray(frameHeaderBytes),
      checksum(frame.subarray(0, 8), sum, littleEndian),
      littleEndian,
    );
    if (next[0] !== frame.readUInt32BE(16) || next[1] !== frame.readUInt32BE(20)) break;
    sum = next;
  }
  let lostCommits = 0;
  for (let index = valid; index < frames; index++) {
    const at = headerBytes + index * frameBytes;
    const commits = wal.readUInt32BE(at + 4) !== 0;
    if (commits && wal.subarray(at + 8, at + 16).equals(salt)) lostCommits += 1;
  }
  const indexed = framesInIndex(database, salt);
  if (indexed > valid) return { lostCommits: Math.max(1, lostCommits), certain: true };
  return lostCommits === 0 ? undefined : { lostCommits, certain: lostCommits > 1 };
}

/** How many frames the index of the log says are committed; 0 where there is no index of this generation of the log. */
function framesInIndex(database: string, salt: Buffer): number {
  const index = readIfThere(`${database}-shm`);
  if (index === undefined || index.length < 96) return 0;
  const header = index.subarray(0, 48);
  // Both copies are equal, initialised, and of this log.
  if (!header.equals(index.subarray(48, 96)) || header[12] !== 1 || !header.subarray(32, 40).equals(salt)) return 0;
  return header.readUInt32LE(16);
}

function pageSizeOf(wal: Buffer): number {
  const stored = wal.readUInt32BE(8);
  return stored === 1 ? 65_536 : stored;
}

/** SQLite's checksum of a multiple of eight bytes, continued from `sum`. */
function checksum(bytes: Buffer, sum: [number, number], littleEndian: boolean): [number, number] {
  let [first, second] = sum;
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    first = (first + word(bytes, at, littleEndian) + second) >>> 0;
    second = (second + word(bytes, at + 4, littleEndian) + first) >>> 0;
  }
  return [first, second];
}

function word(bytes: Buffer, at: number, littleEndian: boolean): number {
  return littleEndian ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
}

function readIfThere(path: string): Buffer | undefined {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true ? readFileSync(path) : undefined;
}
