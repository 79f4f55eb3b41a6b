import { randomUUID } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";

const markerName = "jackfield.generation";

/** Reports whether a database is the one that was last used in its folder. */
export interface SqliteIdentity {
  /**
   * True if the database is a copy of an earlier state: jobs and calls that it lists as open may have been executed
   * since.
   */
  readonly restored: boolean;
  /** Records the state in which the database is closed. */
  close(): void;
}

/**
 * Writes a new generation number into the database and into a marker file beside it. A database from a backup is
 * recognised because its generation differs from the marker's, or because it was copied while in use and now is another
 * file. The order of the writes ensures that after a crash at any point the marker knows the database's generation.
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
  // A folder that was moved while the service was stopped is not a copy of an earlier state.
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
