import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import { freePort } from "../support/free-port.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

/** An npm project of its own, outside the repository, with the Node that runs the tests. */
export interface Project extends Disposable {
  readonly path: string;
  env(extra?: Readonly<Record<string, string>>): NodeJS.ProcessEnv;
  /** Runs `npm install` with these arguments. */
  install(...args: string[]): void;
  /** Runs a program and returns its output. Throws with its output if it fails. */
  run(program: string, ...args: string[]): string;
  /** Starts a program and waits until its output contains a text. Disposal sends SIGTERM. */
  start(args: readonly string[], until: string, env?: Readonly<Record<string, string>>): Promise<Running>;
  /** Runs `npx jackfield serve` on a free port. */
  serve(): Promise<Running & { readonly url: string }>;
}

/** A running program. */
export interface Running extends AsyncDisposable {
  /** Returns its output so far. */
  output(): string;
}

/** Variables that npm and the test runner set for their child processes. */
const ofThisRun =
  /^(npm_(lifecycle|package|command|execpath|config_local_prefix)|NODE_(ENV|OPTIONS)|VITEST|TEST$|JACKFIELD_|PORT$)/;

/** Creates an empty project with `npm init`. */
export function createProject(): Project {
  const folder = scratchFolder("jackfield-project");
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !ofThisRun.test(name)));
  const env = (extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => ({
    ...inherited,
    PATH: `${dirname(process.execPath)}:${systemPath()}`,
    ...extra,
  });
  const run = (program: string, ...words: string[]): string =>
    execFileSync(program, words, { cwd: folder.path, env: env(), encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const start: Project["start"] = async ([program = "", ...words], until, extra) => {
    const child = spawn(program, words, { cwd: folder.path, env: env(extra) });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += String(chunk)));
    await expect.poll(() => output, { timeout: 30_000 }).toContain(until);
    return {
      output: () => output,
      async [Symbol.asyncDispose]() {
        child.kill("SIGTERM");
        await once(child, "exit");
      },
    };
  };
  run("npm", "init", "-y");
  return {
    path: folder.path,
    env,
    run,
    start,
    async serve() {
      const port = await freePort();
      const service = await start(["npx", "jackfield", "serve"], '"listening"', { PORT: String(port) });
      return {
        url: `http://127.0.0.1:${port}`,
        output: service.output,
        async [Symbol.asyncDispose]() {
          await service[Symbol.asyncDispose]();
          // npx ends at once on the signal; the service behind its shell finishes its work and ends too.
          await expect.poll(service.output, { timeout: 10_000 }).toContain('"stopped"');
        },
      };
    },
    install: (...words) => void run("npm", "install", "--prefer-offline", "--no-audit", "--no-fund", ...words),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

/** Returns the search path without the folders of the repository, whose programs users do not have. */
function systemPath(): string {
  const path = process.env["PATH"] ?? "";
  return path
    .split(":")
    .filter((folder) => !folder.includes("node_modules"))
    .join(":");
}

/** Returns the tarball whose file name starts with `name`, in the folder JACKFIELD_TEST_PACKAGES. */
export function tarball(name: string): string {
  const folder = process.env["JACKFIELD_TEST_PACKAGES"] ?? "";
  const found = readdirSync(folder).find((file) => file.replace(/-\d+\.\d+\.\d+\.tgz$/, "") === name);
  if (found === undefined) throw new Error(`there is no tarball of ${name} in ${folder}`);
  return join(folder, found);
}

/** Packs a tarball again with another version. */
export function repack(from: string, folder: string, version: string): string {
  const unpacked = join(folder, "unpacked");
  mkdirSync(unpacked, { recursive: true });
  execFileSync("tar", ["xf", from, "-C", unpacked]);
  const manifest = join(unpacked, "package/package.json");
  writeFileSync(manifest, readFileSync(manifest, "utf8").replace(/"version": "[^"]+"/, `"version": "${version}"`));
  const to = join(folder, `jackfield-${version}.tgz`);
  execFileSync("tar", ["czf", to, "-C", unpacked, "package"]);
  return to;
}

/** Returns the total size of all files below a folder, in bytes. */
export function diskUsage(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((file) => lstatSync(join(folder, file)))
    .reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0);
}
