import { fork } from "node:child_process";
import type { Duplex } from "node:stream";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { StartTransport } from "./isolate.ts";
import type { FromIsolate } from "./isolation-protocol.ts";
import { createReaper } from "./reaper.ts";
import { type IsolateLimits, sourceArgs } from "./thread-transport.ts";

/** The descriptor by which a process notices the end of the service, and says why it ends itself. */
const watchDescriptor = 4;

/**
 * Starts isolates that are processes, each the leader of a session of its own: signals of a terminal do not reach them, and
 * what they start ends with them.
 */
export function createProcessTransport({ memoryMb, env }: IsolateLimits): StartTransport {
  const main = fileURLToPath(new URL(`./process-main${extname(import.meta.url)}`, import.meta.url));
  const rssMb = 2 * memoryMb + 64;
  // As the service itself is run: with its loaders, say. Its debugger and its memory are its own.
  const inherited = process.execArgv.filter((argument) => !/^--(?:inspect|max-|prof|cpu-prof|heap)/.test(argument));
  const reaper = createReaper();
  return (on) => {
    const child = fork(main, [String(rssMb)], {
      env: { ...env },
      execArgv: [...inherited, `--max-old-space-size=${memoryMb}`, ...sourceArgs],
      serialization: "advanced",
      detached: true,
      // stdout may be the service's log, or its answers: what a plugin prints is neither.
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
        // Nothing of it is left.
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
      // What it has started may still be there.
      killSession();
      if (child.pid !== undefined) reaper.remove(child.pid);
      finish();
    });
    // Its messages have all been read by then. A process that hangs up itself can answer nobody any more.
    child.on("disconnect", () => {
      kill();
      finish();
    });
    child.on("error", (error) => {
      // It was never there, or a message could not be sent.
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
