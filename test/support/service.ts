import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "../../src/app/load-config.ts";
import { startService as start } from "../../src/jackfield.ts";
import type { Jackfield } from "../../src/jackfield.ts";
import type { Telemetry } from "../../src/telemetry/telemetry.ts";
import { freePort } from "./free-port.ts";
import { program } from "./program.ts";
import { scratchFolder } from "./scratch-folder.ts";

/** Options of a service under test. */
export interface ServiceOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** The configuration file. */
  readonly yaml?: Readonly<Record<string, unknown>>;
  /** Entries of `plugins:`; the bundled ones by default. */
  readonly plugins?: readonly Readonly<Record<string, unknown>>[];
  /** A data folder that outlives the service; by default it has one of its own. */
  readonly dataDir?: string;
}

/** A service under test, in this process. */
export interface ServiceUnderTest extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly telemetry: Telemetry;
  readonly jackfield: Jackfield;
  readonly dataDir: string;
  /** Everything logged so far. */
  logs(): string;
}

/** Returns the path of a test's tool. */
export function testTool(name: string): string {
  return join(import.meta.dirname, "tools", `${name}.ts`);
}

/** Starts the whole service on a free port, with a data folder of its own and without the machine's variables. */
export async function startService(options: ServiceOptions = {}): Promise<ServiceUnderTest> {
  const folder = scratchFolder("jackfield-service");
  const dataDir = options.dataDir ?? join(folder.path, "data");
  const lines: string[] = [];
  const env = {
    PORT: "0",
    JACKFIELD_DATA_DIR: dataDir,
    ...sandboxOf(options),
    ...fileOf(folder.path, options),
    ...options.env,
  };
  try {
    const config = loadConfig({ env, cwd: folder.path });
    const jackfield = await start(config, {
      destination: { write: (line: string) => void lines.push(line) },
    });
    return {
      url: jackfield.url,
      port: Number(new URL(jackfield.url).port),
      telemetry: jackfield.telemetry,
      jackfield,
      dataDir,
      logs: () => lines.join(""),
      async [Symbol.asyncDispose]() {
        await jackfield[Symbol.asyncDispose]();
        folder[Symbol.dispose]();
      },
    };
  } catch (reason) {
    folder[Symbol.dispose]();
    throw reason;
  }
}

/** Returns variables that enable the sandbox although tests configure keys, unless the file sets it. */
function sandboxOf({ yaml }: ServiceOptions): Record<string, string> {
  return yaml?.["sandbox"] === undefined ? { JACKFIELD_SANDBOX: "true" } : {};
}

function fileOf(folder: string, { yaml, plugins }: ServiceOptions): Record<string, string> {
  if (yaml === undefined && plugins === undefined) return {};
  mkdirSync(folder, { recursive: true });
  const path = join(folder, "jackfield.yaml");
  // JSON is valid YAML.
  writeFileSync(path, JSON.stringify({ ...yaml, ...(plugins !== undefined && { plugins }) }));
  return { JACKFIELD_CONFIG: path };
}

/** A process of the service. */
export interface ServiceProcess extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Resolves when it accepts calls; rejects if it ends before. */
  ready(): Promise<void>;
  /** Resolves with its exit code, or the signal that ended it. */
  ended(): Promise<number | string>;
}

/** Options of a process of the service. */
export interface ProcessOptions extends ServiceOptions {
  /** Arguments of the command line; `serve` by default. */
  readonly args?: readonly string[];
  readonly port?: number;
  readonly cwd?: string;
}

/** Starts the program itself on a free port. */
export async function startProcess(options: ProcessOptions = {}): Promise<ServiceProcess> {
  const folder = scratchFolder("jackfield-process");
  const port = options.port ?? (await freePort());
  const child = spawn(process.execPath, [...program, ...(options.args ?? [])], {
    cwd: options.cwd ?? folder.path,
    env: {
      PATH: process.env["PATH"] ?? "",
      PORT: String(port),
      JACKFIELD_DATA_DIR: options.dataDir ?? join(folder.path, "data"),
      ...sandboxOf(options),
      ...fileOf(folder.path, options),
      ...options.env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString("utf8")));
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString("utf8")));
  const exited = once(child, "close").then(([code, signal]: unknown[]) =>
    typeof code === "number" ? code : String(signal),
  );
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    port,
    child,
    stdout: () => out,
    stderr: () => err,
    async ready() {
      for (;;) {
        const answer = await fetch(`${url}/readyz`).catch(() => undefined);
        if (answer?.ok === true) return;
        const ended = await Promise.race([
          exited,
          new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 50)),
        ]);
        if (ended !== undefined) throw new Error(`the process ended with ${ended}: ${err}${out}`);
      }
    },
    ended: () => exited,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await exited;
      folder[Symbol.dispose]();
    },
  };
}

/** Runs the program until it ends. */
export async function runProcess(
  options: ProcessOptions,
): Promise<{ code: number | string; stdout: string; stderr: string; port: number }> {
  await using started = await startProcess(options);
  const code = await started.ended();
  return { code, stdout: started.stdout(), stderr: started.stderr(), port: started.port };
}
