import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { scratchFolder } from "./scratch-folder.ts";

const shipped = join(import.meta.dirname, "../../deploy/haproxy");

/**
 * The reason why HAProxy is not available; undefined if it is. With JACKFIELD_TEST_ALL=1 its lack is a failure, not a reason
 * to skip.
 */
export function haproxyMissing(): string | undefined {
  if (spawnSync("haproxy", ["-v"]).status === 0) return undefined;
  if (process.env["JACKFIELD_TEST_ALL"] === "1") throw new Error("haproxy is needed: install the package haproxy");
  return "haproxy is not installed";
}

/** Starts HAProxy with the shipped file, with ports of its own and the number of connections that few descriptors allow. */
export async function startHaproxy(servers: readonly [number, number]): Promise<{ url: string } & AsyncDisposable> {
  const port = await freePort();
  const text = readFileSync(join(shipped, "haproxy.cfg"), "utf8")
    .replace("bind :8080", `bind 127.0.0.1:${port}`)
    .replaceAll("127.0.0.1:8081", `127.0.0.1:${servers[0]}`)
    .replaceAll("127.0.0.1:8082", `127.0.0.1:${servers[1]}`)
    .replace("maxconn 20000", "maxconn 1000");
  const folder = scratchFolder("jackfield-haproxy");
  const file = join(folder.path, "haproxy.cfg");
  writeFileSync(file, text);
  const child: ChildProcess = spawn("haproxy", ["-db", "-f", file], { stdio: "ignore" });
  const reap = (): void => void child.kill("SIGKILL");
  process.once("exit", reap);
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      process.off("exit", reap);
      const ended = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
      reap();
      await ended;
      folder[Symbol.dispose]();
    },
  };
}

/** Returns the shipped configuration of each replica behind it. */
export function shippedReplicaFile(): string {
  return readFileSync(join(shipped, "jackfield.yaml"), "utf8");
}
