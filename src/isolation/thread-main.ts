// The main module of an isolated tool's worker thread.
import { parentPort, type MessagePort } from "node:worker_threads";
import type { ToIsolate } from "./isolation-protocol.ts";
import { servePlugin } from "./serve-plugin.ts";

const port = parentPort as MessagePort;
servePlugin({
  post: (message) => port.postMessage(message),
  onMessage: (listener) => void port.on("message", (message: ToIsolate) => listener(message)),
});
