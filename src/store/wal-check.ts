import { closeSync, openSync, readFileSync, readSync, statSync } from "node:fs";

/** Damage in a write-ahead log. */
export interface WalDamage {
  /** Number of committed transactions that are known to be unreadable. */
  readonly lostCommits: number;
  /** True if acknowledged writes are certainly lost; false if an interrupted last write explains the damage. */
  readonly certain: boolean;
}

const headerBytes = 32;
const frameHeaderBytes = 24;

/**
 * Looks for committed frames behind a damaged one. SQLite itself reads a log up to the first bad frame and treats the
 * rest as a stale tail. But frames that carry the header's salt belong to the log's current generation, and each commit
 * was synced before the next one started. So more than one commit behind a bad frame, or a log shorter than its index
 * says, is a loss.
 */
export function checkWal(database: string): WalDamage | undefined {
  const path = `${database}-wal`;
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return undefined;
  const log = openSync(path, "r");
  try {
    return damageOf(log, database);
  } finally {
    closeSync(log);
  }
}

function damageOf(log: number, database: string): WalDamage | undefined {
  const header = Buffer.alloc(headerBytes);
  if (readSync(log, header, 0, headerBytes, 0) < headerBytes) return undefined;
  const magic = header.readUInt32BE(0);
  if (magic !== 0x377f0682 && magic !== 0x377f0683) return { lostCommits: 0, certain: true };
  const littleEndian = magic === 0x377f0682;
  const salt = header.subarray(16, 24);
  let sum = checksum(header.subarray(0, 24), [0, 0], littleEndian);
  if (sum[0] !== header.readUInt32BE(24) || sum[1] !== header.readUInt32BE(28))
    return { lostCommits: 0, certain: true };

  let valid = 0;
  let isBroken = false;
  let lostCommits = 0;
  for (const frame of framesOf(log, frameHeaderBytes + pageSizeOf(header))) {
    const isPresent = frame.subarray(8, 16).equals(salt);
    if (isPresent && !isBroken) {
      sum = checksum(frame.subarray(0, 8), sum, littleEndian);
      sum = checksum(frame.subarray(frameHeaderBytes), sum, littleEndian);
      if (sum[0] === frame.readUInt32BE(16) && sum[1] === frame.readUInt32BE(20)) {
        valid += 1;
        continue;
      }
    }
    isBroken = true;
    if (isPresent && frame.readUInt32BE(4) !== 0) lostCommits += 1;
  }
  const indexed = framesInIndex(database, salt);
  if (indexed > valid) return { lostCommits: Math.max(1, lostCommits), certain: true };
  return lostCommits === 0 ? undefined : { lostCommits, certain: lostCommits > 1 };
}

/** Iterates over a log's frames in one reused buffer: reading a log as a whole would leave 16 MB with the process. */
function* framesOf(log: number, frameBytes: number): Generator<Buffer, void> {
  const frame = Buffer.alloc(frameBytes);
  for (let at = headerBytes; readSync(log, frame, 0, frameBytes, at) === frameBytes; at += frameBytes) yield frame;
}

/** Returns the number of committed frames according to the log's index; 0 if there is no index of this generation. */
function framesInIndex(database: string, salt: Buffer): number {
  const index = readIfThere(`${database}-shm`);
  if (index === undefined || index.length < 96) return 0;
  const header = index.subarray(0, 48);
  // Both copies must be equal, initialised, and belong to this log.
  if (!header.equals(index.subarray(48, 96)) || header[12] !== 1 || !header.subarray(32, 40).equals(salt)) return 0;
  return header.readUInt32LE(16);
}

function pageSizeOf(header: Buffer): number {
  const stored = header.readUInt32BE(8);
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
