import { lstatSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";

/**
 * Returns the folder of compiled code: in the data folder, for the service's own user only. Node would take a folder that all
 * users share, and whoever made that first would run code as the service. Undefined where there is no safe folder.
 *
 * @param {{ env: Readonly<Record<string, string | undefined>>, cwd: string, create: boolean }} options
 * @returns {string | undefined}
 */
export function compileCacheFolder({ env, cwd, create }) {
  const dataDir = resolve(cwd, env["JACKFIELD_DATA_DIR"] || ".data");
  const folder = join(dataDir, "compile-cache");
  try {
    if (create) mkdirSync(folder, { recursive: true, mode: 0o700 });
    return isOurs(dataDir) && isOurs(folder) ? folder : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Tells whether a path is a folder of this user that nobody else may write to, and no link.
 *
 * @param {string} path
 */
function isOurs(path) {
  const found = lstatSync(path);
  return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0;
}
