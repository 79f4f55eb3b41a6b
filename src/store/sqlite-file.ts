import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { migrations, newestTime } from "./sqlite-schema.ts";

/** Name of the database within the data folder. */
export const databaseName = "jackfield.db";

/** How long a statement waits for a lock that somebody else (a backup, say) holds on the file, in milliseconds. */
const lockPatienceMs = 500;

/** Why the file cannot be used. */
export class StoreFileError extends Error {
  /** True where trying again is no use. */
  readonly refused: boolean;
  constructor(message: string, refused = false) {
    super(message);
    this.refused = refused;
  }
}

/** An open file: the database, and the lock that keeps other processes out until `close` or the end of the process. */
export interface SqliteFile {
  readonly database: DatabaseSync;
  readonly newest: number;
  close(): void;
}

/**
 * Opens the file in the folder, makes it where it is missing, and brings it to the present schema. Throws a StoreFileError
 * in words for the operator. A damaged file is left as it is.
 */
export function openSqliteFile(folder: string): SqliteFile {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new StoreFileError(`the data folder ${folder} cannot be made: ${message(cause)}`);
  }
  const lock = takeLock(folder);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(folder, databaseName), { timeout: lockPatienceMs });
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000");
    check(database, folder);
    migrate(database, folder);
    const newest = Number(database.prepare(newestTime).get()?.["newest"] ?? 0);
    const opened = database;
    return {
      database: opened,
      newest,
      close: () => {
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

/** Says in words what an error of SQLite means for the operator. */
export function describe(cause: unknown, folder: string): string {
  const file = join(folder, databaseName);
  switch (resultCode(cause) & 0xff) {
    case 5:
    case 6:
      return `${file} is locked by another program`;
    case 8:
      return `${file} cannot be written: read-only`;
    case 10:
      return `${file} cannot be read or written: the disk reports an error (${message(cause)})`;
    case 11:
    case 26:
      return `${file} is damaged (${message(cause)}): put a backup in its place, or move it away to start empty`;
    case 13:
      return `${file} cannot grow: the disk is full`;
    case 14:
      return `${file} cannot be opened: is the folder ${folder} there, and writable?`;
    default:
      return `${file}: ${message(cause)}`;
  }
}

/** SQLite's extended result code, or 0 where the error is not from SQLite. */
export function resultCode(cause: unknown): number {
  return cause instanceof Error && "errcode" in cause && typeof cause.errcode === "number" ? cause.errcode : 0;
}

/**
 * An exclusive transaction on a file of its own, never committed: the operating system releases it when the process
 * ends in whatever way, and the database itself stays readable for backups.
 */
function takeLock(folder: string): DatabaseSync {
  const path = join(folder, "jackfield.lock");
  let lock: DatabaseSync | undefined;
  try {
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
    throw new StoreFileError(`the data folder ${folder} cannot be written: ${message(cause)}`);
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
    // Closing writes a checkpoint, which the fault that brought us here may forbid: the WAL keeps what was committed.
  }
}

function message(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
