// What runs in the process of an isolated tool.
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { FromIsolate, ToIsolate } from "./isolation-protocol.ts";
import { servePlugin } from "./serve-plugin.ts";

// The service ends its processes itself, when their calls have ended. A supervisor sends its signals to all of them.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => {});

// Before the plugin is loaded: a loop may keep this thread from everything.
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
