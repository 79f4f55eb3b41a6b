import { randomUUID } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";

const markerName = "jackfield.generation";

/** Says whether a database is the one that was last used in its folder. */
export interface SqliteIdentity {
  /** The database is a copy of an earlier state: what it calls open may have been executed since. */
  readonly restored: boolean;
  /** Names the state in which the database is closed. */
  close(): void;
}

/**
 * Gives the database a new generation, in itself and in a file beside it. A database that comes from a backup has another
 * generation than the file, or was in use when it was copied and is another file now. Both are written so that a crash at
 * any point leaves a file that knows the database's generation.
 */
export function takeIdentity(database: DatabaseSync, folder: string, databasePath: string): SqliteIdentity {
  const marker = join(folder, markerName);
  const save = database.prepare(`INSERT INTO identity VALUES (1, ?1, ?2)
    ON CONFLICT (id) DO UPDATE SET generation = excluded.generation, closed = excluded.closed`);
  const row = database.prepare("SELECT generation, closed FROM identity").get();
  const inode = String(statSync(databasePath, { bigint: true }).ino);
  let generation = row === undefined ? "" : String(row["generation"]);

  const restored = row !== undefined && isCopy(readMarker(marker), generation, Number(row["closed"]) === 1, inode);

  function renew(closed: boolean): void {
    const next = randomUUID();
    writeMarker(marker, { generations: [next, generation], inode });
    save.run(next, closed ? 1 : 0);
    generation = next;
    writeMarker(marker, { generations: [next], inode });
  }

  renew(false);
  return { restored, close: () => renew(true) };
}

interface Marker {
  readonly generations: readonly string[];
  readonly inode: string;
}

function isCopy(marker: Marker | undefined, generation: string, closed: boolean, inode: string): boolean {
  if (marker === undefined || !marker.generations.includes(generation)) return true;
  // A folder that was moved while nobody used it is no copy of an earlier state.
  return !closed && marker.inode !== inode;
}

function readMarker(path: string): Marker | undefined {
  try {
    const [inode = "", ...generations] = readFileSync(path, "utf8").trim().split(/\s+/);
    return { inode, generations };
  } catch {
    return undefined;
  }
}

function writeMarker(path: string, { generations, inode }: Marker): void {
  const next = `${path}.new`;
  const file = openSync(next, "w", 0o600);
  try {
    writeSync(file, `${[inode, ...generations].join("\n")}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(next, path);
}
