import { parentPort, workerData } from "node:worker_threads";
import { PGlite } from "@electric-sql/pglite";

// Runs in its own thread, because initialising blocks for seconds. See initialise.ts.
const { folder } = workerData as { folder: string | undefined };
const database = await PGlite.create(folder ?? "memory://");
const dump = folder === undefined ? await (await database.dumpDataDir("none")).arrayBuffer() : undefined;
await database.close();
parentPort?.postMessage(dump, dump === undefined ? [] : [dump]);
