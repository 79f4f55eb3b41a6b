// A thread beside an isolated tool in its process. It ends the process when the service has ended, by whatever cause, and
// when it takes too much memory; also while the tool computes without a pause.
import { Socket } from "node:net";
import { parentPort, workerData } from "node:worker_threads";

const { rssMb } = workerData as { rssMb: number };

/** As in process-transport.ts. */
const service = new Socket({ fd: 4 });

// DANGER: the whole session, or what the tool has started outlives it.
const end = (): void => void process.kill(-process.pid, "SIGKILL");
service.on("error", end);
service.on("close", end);
service.resume();

const timer = setInterval(() => {
  if (process.memoryUsage.rss() <= rssMb * 2 ** 20) return;
  clearInterval(timer);
  service.write(`it took more than ${rssMb} MiB of memory`, end);
}, 100);

parentPort?.postMessage("watching", []);
