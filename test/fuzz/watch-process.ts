// Loaded into the service's process with `--import`: measures it from inside, and reports over the IPC channel.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { isMainThread } from "node:worker_threads";
import type { Measurement } from "./service.ts";

if (isMainThread && process.send !== undefined) watch(process.send.bind(process));

function watch(send: (message: Measurement) => void): void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  let cpu = process.threadCpuUsage();

  process.on("message", (what: "time" | "memory" | "calibrate") => {
    if (what === "memory") {
      collect();
      collect();
    }
    // In a later turn: until then the delay of this turn is not counted.
    setTimeout(() => {
      const { user, system } = process.threadCpuUsage(cpu);
      const { heapUsed, external } = process.memoryUsage();
      const usedMs = (user + system) / 1000;
      send({
        stallMs: Math.min(delay.max / 1e6, usedMs),
        liveBytes: heapUsed + external,
        fixedWorkMs: what === "calibrate" ? fixedWork() : 0,
      });
      delay.reset();
      cpu = process.threadCpuUsage();
    }, 2);
  });
  // The channel does not keep the service alive.
  process.channel?.unref();
}

/** Returns the CPU time of a fixed piece of work in milliseconds: the quickest of ten rounds. */
function fixedWork(): number {
  const text = JSON.stringify(Array.from({ length: 40_000 }, (_, index) => ({ index, text: `${index}` })));
  const rounds = Array.from({ length: 10 }, () => {
    const before = process.threadCpuUsage();
    JSON.parse(text);
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / 1000;
  });
  return Math.min(...rounds);
}
