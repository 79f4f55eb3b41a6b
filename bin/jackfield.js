#!/usr/bin/env node
// Starts the command line: in the repository the source, in the published package, which has none, what was compiled.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const compiled = new URL("../dist/src/main.js", import.meta.url);
const source = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const oldest = [26, 5, 1];

/** @returns {string | undefined} The Node to run with: this one, or the one that the repository brings. */
function suitableNode() {
  const own = process.versions.node.split(".").map(Number);
  const different = oldest.findIndex((part, index) => own[index] !== part);
  if (different === -1 || own[different] > oldest[different]) return process.execPath;
  try {
    const brought = join(dirname(createRequire(source).resolve("node/package.json")), "bin", "node");
    return existsSync(brought) ? brought : undefined;
  } catch {
    return undefined;
  }
}

const node = suitableNode();
if (node === undefined) {
  console.error(`Jackfield needs Node ${oldest.join(".")} or newer; this is Node ${process.versions.node}.`);
  process.exitCode = 1;
} else if (!existsSync(source) && node === process.execPath) {
  await import(compiled.href);
} else {
  const main = existsSync(source) ? ["--conditions=source", source] : [fileURLToPath(compiled)];
  const child = spawn(node, [...main, ...process.argv.slice(2)], { stdio: "inherit" });
  // The terminal sends SIGINT to both; a supervisor sends SIGTERM to this process only.
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
