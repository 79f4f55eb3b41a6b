// The main module of an isolated tool's process.
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { FromIsolate, ToIsolate } from "./isolation-protocol.ts";
import { servePlugin } from "./serve-plugin.ts";

// The service ends its processes itself, after their calls. A supervisor sends its signals to all of them.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => {});

// Started before the plugin is loaded: an endless loop may block this thread.
const watch = new Worker(new URL(`./watch-main${extname(import.meta.url)}`, import.meta.url), {
  workerData: { rssMb: Number(process.argv[2]) },
  resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
});
watch.once("message", () =>
  servePlugin({
    post: (message: FromIsolate) => void process.send?.(message, undefined, undefined, () => {}),
    onMessage: (listener) => void process.on("message", (message) => listener(message as ToIsolate)),
  }),
);
