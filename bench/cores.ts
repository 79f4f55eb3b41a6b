import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";

/** The cores of server and load. */
export interface Cores {
  readonly server: number | undefined;
  readonly load: number | undefined;
  /** Description for the results. */
  readonly description: string;
}

/** Chooses one core for the server and another one for the load, and moves this process to the latter. */
export function chooseCores(): Cores {
  const none = { server: undefined, load: undefined };
  if (availableParallelism() < 2) return { ...none, description: "one core only: server and load share it" };
  if (spawnSync("taskset", ["-acp", "1", String(process.pid)]).status !== 0) {
    return { ...none, description: "not pinned: taskset is not available" };
  }
  return { server: 0, load: 1, description: "server pinned to core 0, load and everything else to core 1" };
}

/** Returns a command line that runs on the given core. */
export function onCore(core: number | undefined, command: readonly string[]): [string, ...string[]] {
  const line = core === undefined ? [...command] : ["taskset", "-c", String(core), ...command];
  return line as [string, ...string[]];
}
