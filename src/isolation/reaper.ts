import { type ChildProcess, spawn } from "node:child_process";

/** Terminates sessions that outlive the service. */
export interface Reaper {
  /** Records the start of a session, by the process id of its leader. */
  add(pid: number): void;
  /** Records its end. */
  remove(pid: number): void;
}

/** Reads `+ PID` and `- PID` until the service is gone, then terminates the remaining sessions. */
const script = `
  left=" "
  while read -r sign pid; do
    case $sign in
      +) left="$left$pid " ;;
      -) left="\${left%% "$pid" *} \${left#* "$pid" }" ;;
    esac
  done
  for pid in $left; do kill -s KILL -- "-$pid"; done
`;

/**
 * Creates the reaper: a shell that runs while there are sessions. A process detects the end of the service by itself,
 * but not while it is stopped (SIGSTOP); then only the reaper can end it. Without a shell, it ends when it is
 * continued.
 */
export function createReaper(): Reaper {
  let shell: ChildProcess | undefined;
  let count = 0;
  function start(): ChildProcess {
    // Its own session, so that signals to the others in a terminal do not reach it.
    const started = spawn("/bin/sh", ["-c", script], { env: {}, detached: true, stdio: ["pipe", "ignore", "ignore"] });
    started.on("error", () => {});
    started.stdin?.on("error", () => {});
    started.unref();
    (started.stdin as { unref?(): void } | null)?.unref?.();
    return started;
  }
  return {
    add(pid) {
      shell ??= start();
      shell.stdin?.write(`+ ${pid}\n`);
      count += 1;
    },
    remove(pid) {
      shell?.stdin?.write(`- ${pid}\n`);
      count -= 1;
      if (count > 0) return;
      shell?.stdin?.end();
      shell = undefined;
    },
  };
}
