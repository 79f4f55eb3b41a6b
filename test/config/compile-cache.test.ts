import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compileCacheFolder } from "../../bin/compile-cache.js";
import { scratchFolder } from "../support/scratch-folder.ts";

test("compiled code is cached in the data folder, for this user only", () => {
  using scratch = scratchFolder();
  const cwd = scratch.path;
  mkdirSync(cwd, { recursive: true });
  const at = (create: boolean, env = {}) => compileCacheFolder({ env, cwd, create });
  expect(at(false)).toBeUndefined();
  expect(existsSync(join(cwd, ".data"))).toBe(false);
  expect(at(true)).toBe(join(cwd, ".data/compile-cache"));
  expect(statSync(join(cwd, ".data/compile-cache")).mode & 0o777).toBe(0o700);
  expect(at(false)).toBe(join(cwd, ".data/compile-cache"));
  expect(at(true, { JACKFIELD_DATA_DIR: "other" })).toBe(join(cwd, "other/compile-cache"));
});

test("a folder that others may write to, or a symbolic link, is not used", () => {
  using scratch = scratchFolder();
  const cwd = scratch.path;
  const folder = join(cwd, ".data/compile-cache");
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o777);
  expect(compileCacheFolder({ env: {}, cwd, create: true })).toBeUndefined();
  mkdirSync(join(cwd, "elsewhere"));
  mkdirSync(join(cwd, "linked"));
  symlinkSync(join(cwd, "elsewhere"), join(cwd, "linked/compile-cache"));
  expect(compileCacheFolder({ env: { JACKFIELD_DATA_DIR: "linked" }, cwd, create: true })).toBeUndefined();
});
