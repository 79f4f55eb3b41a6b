import { type ChildProcess, spawn } from "node:child_process";

/** Ends sessions that outlive the service. */
export interface Reaper {
  /** A session has begun, whose leader has this process id. */
  add(pid: number): void;
  /** It has ended. */
  remove(pid: number): void;
}

/** Reads `+ PID` and `- PID` until the service is gone, then ends the sessions that are left. */
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
 * Creates the reaper, a shell that runs while there are sessions. A process notices by itself that the service is gone,
 * but not while it is stopped; and then nobody else is left to end it. Where there is no shell, it ends when it is continued.
 */
export function createReaper(): Reaper {
  let shell: ChildProcess | undefined;
  let count = 0;
  function start(): ChildProcess {
    // A session of its own: what stops or ends the others in a terminal must not reach it.
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
