// A watchdog thread beside an isolated tool in its process. It terminates the process when the service has ended, for
// whatever reason, and when the process uses too much memory, even while the tool blocks its own thread.
import { Socket } from "node:net";
import { parentPort, workerData } from "node:worker_threads";

const { rssMb } = workerData as { rssMb: number };

/** The descriptor of process-transport.ts. */
const service = new Socket({ fd: 4 });

// DANGER: kill the whole session, or processes started by the tool outlive it.
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
