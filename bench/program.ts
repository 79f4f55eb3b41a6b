import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onCore } from "./cores.ts";

/** A program under load, in a process of its own. */
export interface Program extends AsyncDisposable {
  readonly port: number;
  /** Time from the start of the process until it is ready, in milliseconds. */
  readonly readyMs: number;
  /** Processor time that the process has used, in all threads, in seconds. NaN if the system does not report it. */
  cpuSeconds(): number;
  /** Suspends it, so that it takes no time from another program. */
  pause(): void;
  resume(): void;
  /** Stops it with SIGTERM, as a deployment does, and waits for its end. Disposal kills it. */
  stop(): Promise<void>;
}

/** The folder of the project. */
export const root = fileURLToPath(new URL("..", import.meta.url));

/** Runs a module of the project on a core until it prints its port, as `{"port":…}` or in a log line with a `url`. */
export async function startProgram(
  module: string,
  options: {
    core: number | undefined;
    env?: Record<string, string>;
    args?: readonly string[];
    nodeArgs?: readonly string[];
  },
): Promise<Program> {
  const node = [
    process.execPath,
    "--conditions=@jackfield/source",
    "--disable-warning=ExperimentalWarning",
    ...(options.nodeArgs ?? []),
  ];
  const [command, ...args] = onCore(options.core, [...node, module, ...(options.args ?? [])]);
  const startedAt = performance.now();
  const child = spawn(command, args, {
    cwd: root,
    env: { PATH: process.env["PATH"], NODE_ENV: "production", ...options.env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  // Nothing else ends it if this process is interrupted.
  const orphaned = (): void => void child.kill("SIGKILL");
  process.once("exit", orphaned);
  child.once("exit", () => process.off("exit", orphaned));
  const port = await portOf(child, module);
  const readyMs = performance.now() - startedAt;
  return {
    port,
    readyMs,
    cpuSeconds: () => cpuSecondsOf(child.pid),
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    async stop() {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGCONT");
      const ended = once(child, "exit");
      child.kill(options.nodeArgs?.some((arg) => arg.startsWith("--cpu-prof")) ? "SIGTERM" : "SIGKILL");
      await ended;
    },
  };
}

async function portOf(child: ChildProcess, module: string): Promise<number> {
  const lines = createInterface({ input: child.stdout! });
  const said: string[] = [];
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error(`${module} ended before it was ready:\n${said.join("\n")}`));
    child.once("exit", ended);
    lines.on("line", (line) => {
      if (said.length > 200) return;
      said.push(line);
      const found = /"port":(\d+)/.exec(line) ?? /"url":"http:[^"]*:(\d+)"[^}]*"msg":"listening"/.exec(line);
      if (found === null) return;
      child.off("exit", ended);
      resolve(Number(found[1]));
    });
  });
}

/** Ticks of /proc per second, the same on every Linux. */
const ticks = 100;

function cpuSecondsOf(pid: number | undefined): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // After the name, which may contain anything: user and system time are the 12th and 13th field from there.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / ticks;
  } catch {
    return Number.NaN;
  }
}
