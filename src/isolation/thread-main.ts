// What runs in the worker thread of an isolated tool.
import { parentPort, type MessagePort } from "node:worker_threads";
import type { ToIsolate } from "./isolation-protocol.ts";
import { servePlugin } from "./serve-plugin.ts";

const port = parentPort as MessagePort;
servePlugin({
  post: (message) => port.postMessage(message),
  onMessage: (listener) => void port.on("message", (message: ToIsolate) => listener(message)),
});
