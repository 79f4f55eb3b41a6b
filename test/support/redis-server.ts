import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { Redis } from "ioredis";
import { freePort } from "./free-port.ts";
import { scratchFolder } from "./scratch-folder.ts";

/** A Redis server for one test. */
export interface RedisServer {
  readonly url: string;
  /** Kills it (SIGKILL). */
  kill(): Promise<void>;
  /** Starts it again with its data on disk. */
  start(): Promise<void>;
  /** Suspends it, or lets it continue. */
  pause(): void;
  resume(): void;
  close(): Promise<void>;
}

/**
 * The reason why Redis is not available; undefined if it is. With JACKFIELD_TEST_ALL=1 its lack is a failure, not a reason
 * to skip.
 */
export function redisMissing(): string | undefined {
  if (spawnSync("redis-server", ["--version"]).status === 0) return undefined;
  if (process.env["JACKFIELD_TEST_ALL"] === "1")
    throw new Error("redis-server is needed: install the package redis-server");
  return "redis-server is not installed";
}

/** Starts a Redis server on a free port, with an append-only file unless the settings specify otherwise. */
export async function startRedis(settings: readonly string[] = ["--appendonly", "yes"]): Promise<RedisServer> {
  const folder = scratchFolder("jackfield-redis");
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    child = spawn(
      "redis-server",
      ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder.path, "--save", "", ...settings],
      {
        stdio: "ignore",
      },
    );
    const client = new Redis(url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
    client.on("error", () => {});
    await client.ping();
    client.disconnect();
  }

  async function kill(): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  await start();
  return {
    url,
    kill,
    start,
    pause: () => void child?.kill("SIGSTOP"),
    resume: () => void child?.kill("SIGCONT"),
    close: async () => {
      await kill();
      folder[Symbol.dispose]();
    },
  };
}
