import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { stringify } from "yaml";
import { program } from "../../support/program.ts";
import { scratchFolder } from "../../support/scratch-folder.ts";
import { until } from "./until.ts";

/** Maximum duration of a start, in milliseconds: many processes start at once on few cores. */
const startMs = 40_000;

/** The service in a process of its own. */
export interface Service extends AsyncDisposable {
  /** The current address. */
  readonly url: string;
  readonly pid: number;
  /** Lines of its log, of all its processes. */
  readonly log: readonly string[];
  readonly alive: boolean;
  /** Starts it (again) and waits until it accepts work, or only until it listens. */
  start(untilReady?: boolean): Promise<void>;
  /** Sends a signal. */
  signal(name: NodeJS.Signals): void;
  /** Waits for its end. */
  ended(): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** Sends SIGKILL, and waits for its end. */
  kill(): Promise<void>;
}

/** Options of a service. */
export interface ServiceOptions {
  /** The configuration file. */
  readonly config: Record<string, unknown>;
  readonly env?: Readonly<Record<string, string>>;
  /** A command that starts the process, such as a shell with `ulimit`. */
  readonly command?: readonly [string, ...string[]];
  /** Do not wait for readiness. */
  readonly readyAtStart?: boolean;
}

/** The tools of these tests, against a downstream. `timeoutMs`: their default execution deadline. */
export function testPlugins(baseUrl: string, timeoutMs?: number): object[] {
  return ["look", "set", "put", "put-known"].map((name) => ({
    use: join(import.meta.dirname, `../plugins/${name}.ts`),
    config: { baseUrl },
    ...(timeoutMs !== undefined && { limits: { timeoutMs } }),
  }));
}

/** Starts the service and waits until it accepts work. */
export async function startService({
  config,
  env = {},
  command,
  readyAtStart = true,
}: ServiceOptions): Promise<Service> {
  const folder = scratchFolder("jackfield-service");
  const file = join(folder.path, "jackfield.yaml");
  writeFileSync(file, stringify({ port: 0, dataDir: join(folder.path, "data"), ...config }));
  const log: string[] = [];
  let child: ChildProcess | undefined;
  let url = "";

  // A test that times out leaves no process.
  const reap = (): void => void child?.kill("SIGKILL");
  process.once("exit", reap);

  const isAlive = (): boolean => child !== undefined && child.exitCode === null && child.signalCode === null;

  async function start(untilReady = readyAtStart): Promise<void> {
    url = "";
    const argv = [...(command ?? []), process.execPath, ...program, "serve"] as const;
    child = spawn(argv[0], argv.slice(1), {
      cwd: folder.path,
      env: {
        PATH: process.env["PATH"],
        LOG_LEVEL: "info",
        JACKFIELD_CONFIG: file,
        JACKFIELD_AUDIT_FILE: join(folder.path, "audit.jsonl"),
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream! }).on("line", (line) => {
        log.push(line);
        if (line.includes('"listening"')) url = (JSON.parse(line) as { url: string }).url;
      });
    }
    await until("the service listens", () => url !== "" || !isAlive(), startMs).catch(() => {});
    if (url === "")
      throw new Error(
        `the service did not start (${isAlive() ? "it runs and does not listen" : "it ended"}):\n${log.slice(-20).join("\n")}`,
      );
    if (untilReady) await until("the service is ready", () => isReady(url), startMs);
  }

  async function ended(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    if (child === undefined) throw new Error("it was never started");
    if (isAlive()) await once(child, "exit");
    return { code: child.exitCode, signal: child.signalCode };
  }

  const service: Service = {
    get url() {
      return url;
    },
    get pid() {
      return child?.pid ?? 0;
    },
    log,
    get alive() {
      return isAlive();
    },
    start,
    signal: (name) => void child?.kill(name),
    ended,
    async kill() {
      child?.kill("SIGKILL");
      await ended();
    },
    async [Symbol.asyncDispose]() {
      process.off("exit", reap);
      await service.kill();
      folder[Symbol.dispose]();
    },
  };
  try {
    await start();
  } catch (cause) {
    await service[Symbol.asyncDispose]();
    throw cause;
  }
  return service;
}

async function isReady(url: string): Promise<boolean> {
  const response = await fetch(`${url}/readyz`).catch(() => undefined);
  await response?.text();
  return response?.status === 200;
}
