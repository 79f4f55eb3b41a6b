import { fork } from "node:child_process";
import type { Duplex } from "node:stream";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { StartTransport } from "./isolate.ts";
import type { FromIsolate } from "./isolation-protocol.ts";
import { createReaper } from "./reaper.ts";
import { type IsolateLimits, sourceArgs } from "./thread-transport.ts";

/** File descriptor by which a process detects the end of the service, and reports why it ends itself. */
const watchDescriptor = 4;

/**
 * Starts isolates as processes, each the leader of its own session: signals from a terminal do not reach them, and the
 * processes that they start end with them.
 */
export function createProcessTransport({ memoryMb, env }: IsolateLimits): StartTransport {
  const main = fileURLToPath(new URL(`./process-main${extname(import.meta.url)}`, import.meta.url));
  const rssMb = 2 * memoryMb + 64;
  // The flags of the service, such as loaders, except those for debugging, profiling and memory.
  const inherited = process.execArgv.filter((argument) => !/^--(?:inspect|max-|prof|cpu-prof|heap)/.test(argument));
  const reaper = createReaper();
  return (on) => {
    const child = fork(main, [String(rssMb)], {
      env: { ...env },
      execArgv: [...inherited, `--max-old-space-size=${memoryMb}`, ...sourceArgs],
      serialization: "advanced",
      detached: true,
      // stdout may carry the service's log or its answers, so a plugin's output goes to stderr.
      stdio: ["ignore", 2, 2, "ipc", "pipe"],
    });
    const watch = child.stdio[watchDescriptor] as Duplex | null | undefined;
    child.unref();
    child.channel?.unref();
    (watch as { unref?(): void } | null | undefined)?.unref?.();

    if (child.pid !== undefined) reaper.add(child.pid);
    let reason: string | undefined;
    let hasExited = false;
    watch?.on("data", (chunk: Buffer) => (reason ??= chunk.toString("utf8")));
    watch?.on("error", () => {});
    const killSession = (): void => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // No process of the session is left.
      }
    };
    const kill = (): void => {
      if (!hasExited) killSession();
    };
    const finish = (): void => {
      if (!hasExited || child.connected) return;
      const how = child.signalCode === null ? `exit code ${child.exitCode}` : `signal ${child.signalCode}`;
      on.end(`the process of the tool ended: ${reason ?? how}`);
    };
    child.on("message", (message) => on.message(message as FromIsolate));
    child.on("exit", () => {
      hasExited = true;
      // Processes that it has started may still be running.
      killSession();
      if (child.pid !== undefined) reaper.remove(child.pid);
      finish();
    });
    // All its messages have been read by then. A process that disconnects itself can no longer answer.
    child.on("disconnect", () => {
      kill();
      finish();
    });
    child.on("error", (error) => {
      // It never started, or a message could not be sent.
      if (child.pid === undefined) on.end(`the process of the tool could not be started: ${error.message}`);
    });
    return {
      post: (message) => void (child.connected && child.send(message, () => {})),
      kill,
      setBusy(busy) {
        if (busy) child.channel?.ref();
        else child.channel?.unref();
      },
    };
  };
}
