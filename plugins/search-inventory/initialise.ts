import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import { Worker } from "node:worker_threads";

/**
 * Creates the files of an embedded database in a folder without one. They are written to a folder beside it, which is
 * then renamed, so that a crash never leaves half a database.
 */
export async function initialiseFolder(dataDir: string): Promise<void> {
  if (existsSync(join(dataDir, "PG_VERSION"))) {
    return;
  }
  if (existsSync(dataDir) && (await readdir(dataDir)).length > 0) {
    throw new Error(`The folder ${dataDir} holds other files: give the embedded inventory its own folder.`);
  }
  const fresh = `${dataDir.replace(/[/\\]+$/, "")}.new`;
  await mkdir(dirname(fresh), { recursive: true });
  await rm(fresh, { recursive: true, force: true });
  await initialise(fresh);
  await rename(fresh, dataDir);
}

/** Creates the files of an in-memory database, as a tar archive that PGlite loads. */
export async function initialiseMemory(): Promise<Blob> {
  const dump = await initialise(undefined);
  if (dump === undefined) {
    throw new Error("The embedded database could not be created: its thread returned no files.");
  }
  return new Blob([dump]);
}

/**
 * Runs PostgreSQL's `initdb` in a thread: it blocks for three to six seconds, during which no other tool could answer.
 */
async function initialise(folder: string | undefined): Promise<ArrayBuffer | undefined> {
  const file = new URL(`./initialise-worker${extname(import.meta.url)}`, import.meta.url);
  const worker = new Worker(file, { workerData: { folder } });
  try {
    return await new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.once("exit", (code) =>
        reject(new Error(`The embedded database could not be created: its thread ended with ${code}.`)),
      );
    });
  } finally {
    await worker.terminate();
  }
}
