import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { createSqliteLedger } from "../../src/ledger/drivers/sqlite.ts";
import { LedgerUnavailableError } from "../../src/ledger/ledger.ts";
import { migrations } from "../../src/store/sqlite-schema.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import type { SqliteStore } from "../../src/store/sqlite.ts";
import { StoreRefusedError, StoreUnavailableError } from "../../src/store/store-errors.ts";
import { aResult, anIntent, beginNew } from "../ledger/samples.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { smallDisk } from "./small-disk.ts";

/** Fills a store so that its file has more than a few pages, and closes it. */
async function filled(folder: string): Promise<void> {
  const store = await openSqliteStore({ folder });
  const ledger = createSqliteLedger(store);
  await Promise.all(
    Array.from({ length: 200 }, async () => {
      const intent = anIntent({ argumentsJson: JSON.stringify("x".repeat(500)) });
      await ledger.finish(await beginNew(ledger, intent), aResult(), "replay");
    }),
  );
  await store.close();
}

async function count(store: SqliteStore): Promise<number> {
  const [rows] = await store.run([{ sql: "SELECT count(*) FROM entries" }]);
  return Number(Array.isArray(rows) ? rows[0]?.[0] : undefined);
}

describe("a request", () => {
  test("that fails does not affect others of the same commit, and has no effect", async () => {
    using folder = scratchFolder();
    const store = await openSqliteStore({ folder: folder.path });
    const probe = (at: number | string) => ({
      sql: "INSERT INTO probe (id, at) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at",
      params: [at],
    });
    const outcomes = await Promise.allSettled([
      store.run([probe(1)]),
      store.run([probe(2), probe("no number")]),
      store.run([{ sql: "SELECT nonsense" }]),
      store.run([{ sql: "SELECT at FROM probe" }]),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "fulfilled"]);
    expect(outcomes[3]).toMatchObject({ value: [[[1]]] });
    await store.close();
  });

  test("whose first step may be its last continues only if that changed nothing, and otherwise fails as a whole", async () => {
    using folder = scratchFolder();
    const store = await openSqliteStore({ folder: folder.path });
    const insert = { sql: "INSERT INTO probe (id, at) VALUES (1, ?) ON CONFLICT (id) DO NOTHING", stop: true };
    const set = { sql: "UPDATE probe SET at = ?" };
    const fails = { sql: "UPDATE probe SET id = NULL, at = 'no number'" };
    const outcomes = await Promise.allSettled([
      store.run([{ ...insert, params: [1] }, fails]),
      store.run([{ ...insert, params: [2] }, fails]),
      store.run([{ ...insert, params: [3] }, { ...set, params: [3] }, fails]),
      store.run([{ sql: "SELECT at FROM probe" }]),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "fulfilled"]);
    expect(outcomes[0]).toMatchObject({ value: [1] });
    expect(outcomes[3]).toMatchObject({ value: [[[1]]] });
    await store.close();
  });

  test("after the store was closed is refused", async () => {
    using folder = scratchFolder();
    const store = await openSqliteStore({ folder: folder.path });
    const last = store.ping();
    await store.close();
    await expect(last).resolves.toBeUndefined();
    await expect(store.ping()).rejects.toThrow(StoreUnavailableError);
  });
});

describe("one process at a time", () => {
  test("a second one is refused with a message that names the folder, and gets access when the first was killed", async () => {
    using folder = scratchFolder();
    const child = spawn(
      process.execPath,
      ["--conditions=@jackfield/source", join(import.meta.dirname, "begin-until-killed.ts"), folder.path],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const acknowledged: string[] = [];
    const lines = createInterface({ input: child.stdout });
    lines.on("line", (line) => acknowledged.push(line));
    await expect.poll(() => acknowledged.length, { timeout: 10_000 }).toBeGreaterThan(500);

    await expect(openSqliteStore({ folder: folder.path })).rejects.toThrow(StoreRefusedError);
    await expect(openSqliteStore({ folder: folder.path })).rejects.toThrow(folder.path);

    child.kill("SIGKILL");
    await Promise.all([once(child, "exit"), once(lines, "close")]);

    // Everything that was acknowledged before the kill exists, and is abandoned.
    const store = await openSqliteStore({ folder: folder.path });
    const ledger = createSqliteLedger(store);
    const taken = new Set((await ledger.recover(1_000_000)).map(({ entry }) => entry.key));
    expect(acknowledged.filter((key) => !taken.has(key))).toEqual([]);
    expect(acknowledged.length).toBeGreaterThan(500);
    await store.close();
  }, 30_000);
});

describe("an unusable file", () => {
  test("that is damaged is reported, left unchanged, and works again when a good one is in its place", async () => {
    using folder = scratchFolder();
    await filled(folder.path);
    const path = join(folder.path, "jackfield.db");
    const good = readFileSync(path);
    const bad = Buffer.from(good);
    bad.fill(0xa5, 4_096 * 2);
    writeFileSync(path, bad);

    const faults: (string | undefined)[] = [];
    const store = await openSqliteStore({ folder: folder.path, onProblem: (fault) => faults.push(fault) });
    expect(store.problem()).toMatch(/jackfield\.db is damaged/);
    await expect(store.ping()).rejects.toThrow(/is damaged .*: put a backup in its place/);
    await expect(createSqliteLedger(store).begin(anIntent())).rejects.toThrow(LedgerUnavailableError);
    expect(readFileSync(path).equals(bad)).toBe(true);

    writeFileSync(path, good);
    await expect.poll(() => store.problem(), { timeout: 5_000 }).toBeUndefined();
    expect(await count(store)).toBe(200);
    expect(faults.at(-1)).toBeUndefined();
    await store.close();
  });

  test.each([
    ["cut in the middle", (path: string) => truncateSync(path, Math.floor(statSync(path).size / 2 / 4_096) * 4_096)],
    ["no database at all", (path: string) => writeFileSync(path, "not a database, ".repeat(1_000))],
  ])("is reported as damaged if %s", async (_name, damage) => {
    using folder = scratchFolder();
    await filled(folder.path);
    damage(join(folder.path, "jackfield.db"));
    const store = await openSqliteStore({ folder: folder.path });
    expect(store.problem()).toMatch(/is damaged/);
    await store.close();
  });

  test("of a newer version is refused", async () => {
    using folder = scratchFolder();
    await filled(folder.path);
    const database = new DatabaseSync(join(folder.path, "jackfield.db"));
    database.exec(`PRAGMA user_version = ${migrations.length + 1}`);
    database.close();
    await expect(openSqliteStore({ folder: folder.path })).rejects.toThrow(/newer version of Jackfield/);
  });

  test("that another program has locked is reported, and works again afterwards", async () => {
    using folder = scratchFolder();
    const store = await openSqliteStore({ folder: folder.path });
    const ledger = createSqliteLedger(store);
    const other = new DatabaseSync(join(folder.path, "jackfield.db"));
    other.exec("BEGIN IMMEDIATE");
    const intent = anIntent();
    await expect(ledger.begin(intent)).rejects.toThrow(/locked by another program/);
    other.exec("ROLLBACK");
    other.close();
    expect((await ledger.begin(intent)).state).toBe("new");
    await store.close();
  });

  test("whose folder cannot be created is reported", async () => {
    using folder = scratchFolder();
    const file = join(folder.path, "file");
    writeFileSync(file, "");
    const store = await openSqliteStore({ folder: join(file, "data") });
    expect(store.problem()).toMatch(/cannot be created/);
    rmSync(file);
    await expect.poll(() => store.problem(), { timeout: 5_000 }).toBeUndefined();
    await store.ping();
    await store.close();
  });

  test("on a full disk accepts nothing, and works again when there is space", async ({ skip }) => {
    using disk = smallDisk(4);
    if (disk === undefined) return skip("this user may not mount a small disk");
    const store = await openSqliteStore({ folder: disk.path });
    const ledger = createSqliteLedger(store);
    const acknowledged: string[] = [];
    const refused: string[] = [];
    for (let index = 0; index < 200 && refused.length < 5; index += 1) {
      const intent = anIntent({ argumentsJson: JSON.stringify("x".repeat(50_000)) });
      try {
        await ledger.begin(intent);
        acknowledged.push(intent.key);
      } catch (cause) {
        expect(cause).toBeInstanceOf(LedgerUnavailableError);
        expect(String(cause)).toMatch(/the disk is full|disk reports an error/);
        refused.push(intent.key);
      }
    }
    expect(refused.length).toBeGreaterThan(0);
    expect(acknowledged.length).toBeGreaterThan(10);
    disk.remount("rw");
    const { execFileSync } = await import("node:child_process");
    execFileSync("mount", ["-o", "remount,size=64m", disk.path]);
    const again = anIntent();
    await expect
      .poll(async () => (await ledger.begin(again).catch(() => undefined))?.state, { timeout: 5_000 })
      .toBe("new");
    for (const key of acknowledged) expect((await ledger.find(key))?.state).toBe("running");
    // The refused intent does not exist, so that nobody waits for it.
    await expect
      .poll(async () => (await Promise.all(refused.map((key) => ledger.find(key)))).filter(Boolean), { timeout: 5_000 })
      .toEqual([]);
    await store.close();
  });

  test("on a read-only disk is reported, at the start too, and works again by itself", async ({ skip }) => {
    using disk = smallDisk(16);
    if (disk === undefined) return skip("this user may not mount a small disk");
    disk.remount("ro");
    const store = await openSqliteStore({ folder: join(disk.path, "data") });
    expect(store.problem()).toMatch(/read-only|cannot be created/);
    await expect(store.ping()).rejects.toThrow(StoreUnavailableError);
    disk.remount("rw");
    await expect.poll(() => store.problem(), { timeout: 5_000 }).toBeUndefined();
    await store.ping();
    await store.close();
  });
});

describe("the store's clock", () => {
  test("does not go back when the machine's clock was set back between two processes", async () => {
    using folder = scratchFolder();
    const early = await openSqliteStore({ folder: folder.path });
    const ledger = createSqliteLedger(early);
    const intent = anIntent();
    await ledger.finish(await beginNew(ledger, intent), aResult(), "replay");
    const before = early.now();
    await early.close();

    const late = await openSqliteStore({ folder: folder.path, wall: () => Date.now() - 3_600_000 });
    expect(late.now()).toBeGreaterThanOrEqual(before - 5);
    const reopened = createSqliteLedger(late);
    expect((await reopened.begin(intent)).state).toBe("ended");
    expect(await reopened.erase({ olderThanMs: 60_000, uncertainOlderThanMs: 60_000 })).toBe(0);
    await late.close();
  });

  test("ignores a jump of the machine's clock", async () => {
    using folder = scratchFolder();
    let wall = Date.now();
    const store = await openSqliteStore({ folder: folder.path, wall: () => wall });
    const ledger = createSqliteLedger(store);
    const intent = anIntent();
    await ledger.finish(await beginNew(ledger, intent), aResult(), "replay");
    for (const jump of [-3_600_000, 86_400_000]) {
      wall += jump;
      expect(await ledger.erase({ olderThanMs: 3_600_000, uncertainOlderThanMs: 3_600_000 })).toBe(0);
      expect((await ledger.begin(intent)).state).toBe("ended");
    }
    await store.close();
  });
});
