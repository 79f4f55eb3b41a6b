import {
  chmodSync,
  copyFileSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { createSqliteLedger } from "../../src/ledger/drivers/sqlite.ts";
import { openSqliteFile } from "../../src/store/sqlite-file.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { anIntent, beginNew } from "../ledger/samples.ts";
import { checkWal } from "../../src/store/wal-check.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

const modeOf = (path: string): number => statSync(path).mode & 0o777;

describe("the database files", () => {
  test("are accessible to their owner only, even in an existing folder and if they were open to others", async () => {
    using folder = scratchFolder();
    chmodSync(folder.path, 0o777);
    new DatabaseSync(join(folder.path, "jackfield.db")).close();
    writeFileSync(join(folder.path, "jackfield.db"), "", { mode: 0o644 });
    const notices: string[] = [];
    const store = await openSqliteStore({ folder: folder.path, onNotice: (notice) => notices.push(notice) });
    await store.ping();
    for (const name of ["jackfield.db", "jackfield.db-wal", "jackfield.lock", "jackfield.generation"])
      expect([name, modeOf(join(folder.path, name))]).toEqual([name, 0o600]);
    expect(notices).toEqual([expect.stringContaining("chmod 700")]);
    await store.close();
  });

  test("contain nothing of deleted data", () => {
    using folder = scratchFolder();
    const file = openSqliteFile(folder.path);
    file.database.exec("INSERT INTO registered_tools VALUES ('x', 's3cret-needle')");
    file.database.exec("DELETE FROM registered_tools");
    file.close();
    expect(readFileSync(join(folder.path, "jackfield.db")).includes("s3cret-needle")).toBe(false);
  });

  test.each(["jackfield.db", "jackfield.lock"])(
    "%s: removed while in use, nothing is accepted until it is back",
    async (name) => {
      using folder = scratchFolder();
      const store = await openSqliteStore({ folder: folder.path });
      const ledger = createSqliteLedger(store);
      await beginNew(ledger, anIntent());
      renameSync(join(folder.path, name), join(folder.path, "away"));
      await expect(ledger.ping()).rejects.toThrow(/was removed or replaced/);
      await expect(ledger.begin(anIntent())).rejects.toThrow(name);
      expect(store.problem()).toContain(name);
      renameSync(join(folder.path, "away"), join(folder.path, name));
      await ledger.ping();
      expect(store.problem()).toBeUndefined();
      await store.close();
    },
  );
});

describe("a write-ahead log", () => {
  /** Commits ten times, keeps the files as after a crash, and damages them. */
  function crash(folder: string, damage: (wal: string) => void): void {
    const file = openSqliteFile(folder);
    for (let id = 0; id < 10; id++)
      file.database.exec(`INSERT INTO registered_tools VALUES ('${id}', '${"x".repeat(3_000)}')`);
    const path = join(folder, "jackfield.db");
    for (const suffix of ["", "-wal", "-shm"]) copyFileSync(path + suffix, `${path}${suffix}.kept`);
    file.close();
    for (const suffix of ["", "-wal", "-shm"]) copyFileSync(`${path}${suffix}.kept`, path + suffix);
    damage(`${path}-wal`);
  }

  test("is read in the state that a crash leaves", () => {
    using folder = scratchFolder();
    crash(folder.path, () => {});
    const file = openSqliteFile(folder.path);
    expect(file.database.prepare("SELECT count(*) AS count FROM registered_tools").get()).toEqual({ count: 10 });
    file.close();
  });

  test("is checked without reading it as a whole, so that memory does not grow with it", () => {
    using folder = scratchFolder();
    crash(folder.path, (wal) => truncateSync(wal, 64 * 2 ** 20));
    const before = process.memoryUsage().arrayBuffers;
    expect(checkWal(join(folder.path, "jackfield.db"))).toBeUndefined();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
  });

  test.each([
    ["with a flipped byte in the middle", (wal: string) => flip(wal, 0.5)],
    ["with a flipped byte in its first frame", (wal: string) => flip(wal, 0.01)],
    ["that was cut", (wal: string) => truncateSync(wal, Math.floor(statSync(wal).size / 2))],
  ])("%s is refused, and left unchanged", (_name, damage) => {
    using folder = scratchFolder();
    crash(folder.path, damage);
    const before = readFileSync(join(folder.path, "jackfield.db-wal"));
    expect(() => openSqliteFile(folder.path)).toThrow(/jackfield\.db-wal is damaged: acknowledged work is lost/);
    expect(readFileSync(join(folder.path, "jackfield.db-wal")).equals(before)).toBe(true);
  });

  test("whose last write was interrupted is read up to it, with a notice", () => {
    using folder = scratchFolder();
    crash(folder.path, (wal) => {
      // The index does not belong to a log that a machine's crash interrupted.
      rmSync(wal.replace("-wal", "-shm"));
      flip(wal, 0.999);
    });
    const file = openSqliteFile(folder.path);
    expect(file.notices.join()).toContain("the last write before the crash was not completed");
    expect(file.database.prepare("SELECT count(*) AS count FROM registered_tools").get()).toEqual({ count: 9 });
    file.close();
  });

  function flip(path: string, where: number): void {
    const bytes = readFileSync(path);
    const at = Math.floor(bytes.length * where);
    bytes[at] = (bytes[at] ?? 0) ^ 0xff;
    writeFileSync(path, bytes);
  }
});

describe("a database from a backup", () => {
  const openJob = `INSERT INTO jobs (id, tenant, state, open, record, not_before, created_at, changed_at)
    VALUES ('j', 'default', 1, 1, '{}', 0, 0, 0)`;

  function openJobs(folder: string): { open: unknown; notices: readonly string[] } {
    const file = openSqliteFile(folder);
    const row = file.database.prepare("SELECT count(*) AS count FROM jobs WHERE open = 1").get();
    file.close();
    return { open: row?.["count"], notices: file.notices };
  }

  test("that was copied during operation, and replaces a later one, executes nothing by itself", () => {
    using folder = scratchFolder();
    const path = join(folder.path, "jackfield.db");
    const file = openSqliteFile(folder.path);
    file.database.exec(openJob);
    file.database.exec(`VACUUM INTO '${path}.backup'`);
    file.database.exec("UPDATE jobs SET open = 0");
    file.close();
    rmSync(path);
    renameSync(`${path}.backup`, path);
    const restored = openJobs(folder.path);
    expect(restored.open).toBe(0);
    expect(restored.notices.join()).toMatch(/comes from a backup.*1 open jobs are dead letters/);
  });

  test("in its own folder executes nothing by itself", () => {
    using folder = scratchFolder();
    using other = scratchFolder();
    const file = openSqliteFile(folder.path);
    file.database.exec(openJob);
    file.close();
    copyFileSync(join(folder.path, "jackfield.db"), join(other.path, "jackfield.db"));
    expect(openJobs(other.path).open).toBe(0);
  });

  test("is not confused with a folder that was moved, or whose process was killed", () => {
    using folder = scratchFolder();
    const path = join(folder.path, "jackfield.db");
    const file = openSqliteFile(folder.path);
    file.database.exec(openJob);
    file.close();
    expect(openJobs(folder.path)).toEqual({ open: 1, notices: [] });
    // Another inode, as on another disk.
    copyFileSync(path, `${path}.moved`);
    renameSync(`${path}.moved`, path);
    expect(openJobs(folder.path)).toEqual({ open: 1, notices: [] });
  });
});
