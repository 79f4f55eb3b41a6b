import { chmodSync, closeSync, mkdirSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { errorMessage } from "../error-message.ts";
import type { ClockRecord } from "./boot-clock.ts";
import { takeIdentity } from "./sqlite-identity.ts";
import { buryOpenJobs, clockRecord, endRunningCalls, migrations, newestTime } from "./sqlite-schema.ts";
import { checkWal } from "./wal-check.ts";

/** Name of the database file within the data folder. */
export const databaseName = "jackfield.db";

const lockName = "jackfield.lock";

/** How long a statement waits for a lock that another process, such as a backup, holds on the file, in milliseconds. */
const lockTimeoutMs = 500;

/** The reason why the file is unusable. */
export class StoreFileError extends Error {
  /** True if a retry cannot help. */
  readonly refused: boolean;
  constructor(message: string, refused = false) {
    super(message);
    this.refused = refused;
  }
}

/** An open file: the database, and the lock that excludes other processes until `close` or the end of the process. */
export interface SqliteFile {
  readonly database: DatabaseSync;
  /** The newest time in the tables. */
  readonly newest: number;
  readonly clock: ClockRecord | undefined;
  /** Findings for the operator that do not prevent the use of the file. */
  readonly notices: readonly string[];
  /** The reason why the folder's files are no longer the open ones; undefined while they are. */
  missing(): string | undefined;
  close(): void;
}

/**
 * Opens the file in the folder, creates it if it is missing, and migrates it to the current schema. Throws a
 * StoreFileError with a message for the operator. A damaged file is left unchanged.
 */
export function openSqliteFile(folder: string): SqliteFile {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new StoreFileError(`the data folder ${folder} cannot be created: ${errorMessage(cause)}`);
  }
  const lock = takeLock(folder);
  const path = join(folder, databaseName);
  let database: DatabaseSync | undefined;
  try {
    const notices = folderNotices(folder);
    notices.push(...checkLog(path));
    makePrivate(path);
    database = new DatabaseSync(path, { timeout: lockTimeoutMs });
    database.exec(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000; PRAGMA secure_delete = ON",
    );
    check(database, folder);
    migrate(database, folder);
    const newest = Number(database.prepare(newestTime).get()?.["newest"] ?? 0);
    const identity = takeIdentity(database, folder, path);
    if (identity.restored) notices.push(buryRestored(database, path));
    const files = [path, join(folder, lockName)].map((file) => ({ file, inode: inodeOf(file) }));
    const opened = database;
    return {
      database: opened,
      newest,
      clock: clockFrom(database),
      notices,
      missing: () => {
        const replaced = files.find(({ file, inode }) => inodeOf(file) !== inode);
        return (
          replaced &&
          `${replaced.file} was removed or replaced while it was in use: put it back, or restart the service`
        );
      },
      close: () => {
        try {
          identity.close();
        } catch {
          // The problem that closes the file may prevent this write. Then the next start treats it as a crash.
        }
        closeQuietly(opened);
        closeQuietly(lock);
      },
    };
  } catch (cause) {
    if (database !== undefined) closeQuietly(database);
    closeQuietly(lock);
    if (cause instanceof StoreFileError) throw cause;
    throw new StoreFileError(describe(cause, folder));
  }
}

/** Creates the file with access for its owner only, or revokes the access of others. */
function makePrivate(path: string): void {
  closeSync(openSync(path, "a", 0o600));
  for (const file of [path, `${path}-wal`, `${path}-shm`]) {
    const stats = statSync(file, { throwIfNoEntry: false });
    if (stats !== undefined && (stats.mode & 0o077) !== 0) chmodSync(file, 0o600);
  }
}

function folderNotices(folder: string): string[] {
  const { mode } = statSync(folder);
  if ((mode & 0o022) === 0) return [];
  return [`the data folder ${folder} can be written by other users: run \`chmod 700 ${folder}\``];
}

/** Rejects a write-ahead log that has lost acknowledged writes, and reports one that may have. */
function checkLog(path: string): string[] {
  const damage = checkWal(path);
  if (damage === undefined) return [];
  const { lostCommits, certain } = damage;
  if (!certain) return [`the end of ${path}-wal cannot be read: the last write before the crash was not completed`];
  throw new StoreFileError(
    `${path}-wal is damaged: acknowledged work is lost (${lostCommits} commits or more). Put a backup in its place, or move ${path}-wal away to continue without its contents`,
  );
}

function buryRestored(database: DatabaseSync, path: string): string {
  const buried = Number(database.prepare(buryOpenJobs).run().changes);
  const ended = Number(database.prepare(endRunningCalls).run().changes);
  return `${path} comes from a backup: its open jobs may have been executed since. ${buried} open jobs are dead letters now: look at each before you retry it. ${ended} calls that were running are UNCERTAIN`;
}

function clockFrom(database: DatabaseSync): ClockRecord | undefined {
  const row = database.prepare(clockRecord).get();
  if (row === undefined) return undefined;
  const { boot, uptime_ms: uptimeMs, time, gap_ms: gapMs, gap_at: gapAt } = row;
  return {
    boot: String(boot),
    uptimeMs: Number(uptimeMs),
    time: Number(time),
    gapMs: Number(gapMs),
    gapAt: Number(gapAt),
  };
}

function inodeOf(file: string): bigint | undefined {
  return statSync(file, { bigint: true, throwIfNoEntry: false })?.ino;
}

/** Describes a SQLite error for the operator. */
export function describe(cause: unknown, folder: string): string {
  const file = join(folder, databaseName);
  switch (resultCode(cause) & 0xff) {
    case 5:
    case 6:
      return `${file} is locked by another program`;
    case 8:
      return `${file} cannot be written: read-only`;
    case 10:
      return `${file} cannot be read or written: the disk reports an error (${errorMessage(cause)})`;
    case 11:
    case 26:
      return `${file} is damaged (${errorMessage(cause)}): put a backup in its place, or move it away to start empty`;
    case 13:
      return `${file} cannot grow: the disk is full`;
    case 14:
      return `${file} cannot be opened: is the folder ${folder} there, and writable?`;
    default:
      return `${file}: ${errorMessage(cause)}`;
  }
}

/** SQLite's extended result code, or 0 if the error is not from SQLite. */
export function resultCode(cause: unknown): number {
  return cause instanceof Error && "errcode" in cause && typeof cause.errcode === "number" ? cause.errcode : 0;
}

/**
 * Takes the lock: an exclusive transaction on a separate file, never committed. The operating system releases it
 * however the process ends, and the database itself stays readable for backups.
 */
function takeLock(folder: string): DatabaseSync {
  const path = join(folder, lockName);
  let lock: DatabaseSync | undefined;
  try {
    makePrivate(path);
    lock = new DatabaseSync(path, { timeout: 0 });
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return lock;
  } catch (cause) {
    if (lock !== undefined) closeQuietly(lock);
    if ((resultCode(cause) & 0xff) === 5) {
      throw new StoreFileError(
        `another Jackfield process uses the data folder ${folder}: stop it, or give this one its own`,
        true,
      );
    }
    throw new StoreFileError(`the data folder ${folder} cannot be written: ${errorMessage(cause)}`);
  }
}

function check(database: DatabaseSync, folder: string): void {
  const found = database.prepare("PRAGMA quick_check(1)").get();
  if (found?.["quick_check"] !== "ok") {
    const what = String(found?.["quick_check"]).split("\n").at(-1);
    throw new StoreFileError(
      `${join(folder, databaseName)} is damaged (${what}): put a backup in its place, or move it away to start empty`,
    );
  }
}

function migrate(database: DatabaseSync, folder: string): void {
  const version = Number(database.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
  if (version > migrations.length) {
    throw new StoreFileError(
      `${join(folder, databaseName)} was written by a newer version of Jackfield (schema ${version}, this one knows ${migrations.length})`,
      true,
    );
  }
  if (version === migrations.length) return;
  database.exec(
    `BEGIN IMMEDIATE; ${migrations.slice(version).join("\n")} PRAGMA user_version = ${migrations.length}; COMMIT`,
  );
}

function closeQuietly(database: DatabaseSync): void {
  try {
    database.close();
  } catch {
    // Closing writes a checkpoint, which the current problem may prevent. The WAL keeps all committed transactions.
  }
}
