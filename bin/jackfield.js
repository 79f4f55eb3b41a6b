#!/usr/bin/env node
// Starts the command line: from its source in the repository, from compiled code in the published package.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
// As a whole: an older Node, which does not have `enableCompileCache`, must get as far as the message below.
import * as nodeModule from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileCacheFolder } from "./compile-cache.js";

const oldestMajor = 24;
const condition = "--conditions=@jackfield/source";
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const inRepository = existsSync(join(root, "src", "main.ts"));

/** @returns {string | undefined} The Node to run with: this one, or the one that the repository installs for itself. */
function suitableNode() {
  if (Number.parseInt(process.versions.node, 10) >= oldestMajor) return process.execPath;
  const installed = join(root, "node_modules", "node", "bin", "node");
  return inRepository && existsSync(installed) ? installed : undefined;
}

/** @returns {string} Why Jackfield cannot start, and what to do about it. */
function missingNode() {
  const needed = `Jackfield needs Node ${oldestMajor} or newer; this is Node ${process.versions.node}.`;
  if (!inRepository) return needed;
  return existsSync(join(root, "node_modules", "node"))
    ? `${needed} The repository installs its own Node by an install script, which npm has not run: run \`npm rebuild node --ignore-scripts=false\`.`
    : `${needed} The repository installs its own Node: run \`npm ci\`.`;
}

// `npx` runs this through a shell that ends by SIGTERM without handing it on: when the shell has gone, stop as if told to.
if (process.env.npm_execpath !== undefined) {
  const shell = process.ppid;
  setInterval(() => {
    if (process.ppid !== shell) process.kill(process.pid, "SIGTERM");
  }, 200).unref();
}

const node = suitableNode();
if (node === undefined) {
  console.error(missingNode());
  process.exitCode = 1;
} else if (node === process.execPath && (!inRepository || process.execArgv.includes(condition))) {
  // Before anything else is loaded: the next start finds what this one compiled, and takes two thirds of the time. This file
  // is JavaScript, so that the next start need not load what reads TypeScript either.
  const cache = compileCacheFolder({ env: process.env, cwd: process.cwd(), create: process.argv[2] === "serve" });
  if (cache !== undefined) nodeModule.enableCompileCache(cache);
  await import(inRepository ? "../src/main.ts" : "../dist/src/main.js");
} else {
  const program = [...(inRepository ? [condition] : []), fileURLToPath(import.meta.url)];
  const child = spawn(node, [...program, ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal sends SIGINT to both processes; a supervisor sends SIGTERM to this one only.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("error", (error) => {
    console.error(`Jackfield could not be started (${error.message}).`);
    process.exitCode = 1;
  });
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? (signal === "SIGINT" ? 130 : 1);
  });
}
