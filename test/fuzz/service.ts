import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { program } from "../support/program.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { testTool } from "../support/service.ts";

/** The measurement of the service's process since the last one. */
export interface Measurement {
  /** Longest blocking of the event loop in milliseconds, but no more than the CPU time that its thread has used. */
  readonly stallMs: number;
  /** Bytes in use, after a garbage collection (`memory`) or now. */
  readonly liveBytes: number;
  /** CPU time of a fixed piece of work in milliseconds (`calibrate`), otherwise 0. */
  readonly fixedWorkMs: number;
}

/** The service in a process of its own, measured from inside. */
export interface FuzzedService extends AsyncDisposable {
  readonly url: string;
  /** The destination that registered tools may use. */
  readonly targetUrl: string;
  readonly alive: boolean;
  measure(what: "time" | "memory" | "calibrate"): Promise<Measurement>;
  /** The last lines of its log. */
  log(): string;
}

/** The key that every entry point accepts. */
export const key = "fuzz-key-0123456789";

const scopes =
  "tools:execute+tools:read+tools:register+jobs:read+jobs:write+calls:content+calls:erase+conversations:run";

/** Starts the service with its bundled tools, an `echo`, a key for every entry point, and a target for registered tools. */
export async function startFuzzedService(): Promise<FuzzedService> {
  const folder = scratchFolder("jackfield-fuzz");
  mkdirSync(folder.path, { recursive: true });
  const target = createServer((request, response) => {
    request
      .resume()
      .on("end", () => response.writeHead(200, { "content-type": "application/json" }).end('{"ok":true}'));
  });
  target.listen(0, "127.0.0.1");
  await once(target, "listening");
  writeFileSync(
    join(folder.path, "jackfield.yaml"),
    JSON.stringify({ plugins: [{ use: testTool("echo") }, ...bundled] }),
  );

  const child = spawn(
    process.execPath,
    ["--import", join(import.meta.dirname, "watch-process.ts"), ...program, "serve"],
    {
      cwd: folder.path,
      env: {
        PATH: process.env["PATH"],
        PORT: "0",
        JACKFIELD_DATA_DIR: join(folder.path, "data"),
        JACKFIELD_SANDBOX: "true",
        JACKFIELD_API_KEYS: `fuzz:${key}:${scopes}`,
        COGNIGY_API_KEY: key,
        GENESYS_WEBHOOK_KEY: key,
        JACKFIELD_PRIVATE_ADDRESSES: "127.0.0.1",
      },
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    },
  );
  const reap = (): void => void child.kill("SIGKILL");
  process.once("exit", reap);
  let log = "";
  const { promise: listening, resolve, reject } = Promise.withResolvers<string>();
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-20_000);
      const url = /"url":"([^"]+)".*"listening"/.exec(log)?.[1];
      if (url !== undefined) resolve(url);
    });
  }
  child.once("exit", (code, signal) => reject(new Error(`the service ended with ${code ?? signal}:\n${log}`)));

  const service = {
    url: "",
    targetUrl: `http://127.0.0.1:${(target.address() as AddressInfo).port}/`,
    get alive() {
      return child.exitCode === null && child.signalCode === null;
    },
    measure: (what: "time" | "memory" | "calibrate") => requestMeasurement(child, what),
    log: () => log,
    async [Symbol.asyncDispose]() {
      process.off("exit", reap);
      if (service.alive) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
      target.closeAllConnections();
      target.close();
      folder[Symbol.dispose]();
    },
  };
  try {
    service.url = await listening;
  } catch (cause) {
    await service[Symbol.asyncDispose]();
    throw cause;
  }
  return service;
}

const bundled = ["get-order-status", "update-ticket-priority", "get-weather", "check-inventory"].map((name) => ({
  use: `@jackfield/${name}`,
}));

async function requestMeasurement(child: ChildProcess, what: string): Promise<Measurement> {
  const answer = once(child, "message", { signal: AbortSignal.timeout(30_000) });
  child.send(what);
  const [measurement] = (await answer) as [Measurement];
  return measurement;
}
