import { createHash } from "node:crypto";
import { Redis } from "ioredis";
import type { RedisOptions } from "ioredis";
import type { PeerTls } from "../config/peer-tls.ts";
import { errorMessage } from "../errors.ts";
import { tlsProblem } from "../config/tls-problem.ts";
import { createStoreCircuit, probeIntervalMs } from "./store-circuit.ts";

/** A Lua script, sent by its digest. */
export interface RedisScript {
  readonly text: string;
  readonly sha: string;
}

/** An argument of a script. */
export type RedisArgument = string | number | Buffer;

/** A Redis server. A request that gets no answer in time fails, and so do all that follow until the server answers. */
export interface RedisStore {
  readonly url: string;
  /** The connection that all requests share. */
  readonly client: Redis;
  /** Runs a script in one round trip. Rejects with a StoreUnavailableError. */
  script(script: RedisScript, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown>;
  /** Makes a request through the client. Rejects with a StoreUnavailableError. */
  ask<T>(request: (client: Redis) => Promise<T>): Promise<T>;
  /** Why the server cannot be used, for the operator; undefined while it can. */
  problem(): string | undefined;
  /**
   * Calls `listener` whenever the server answers again after an outage or a new connection: after a fail-over it may have
   * lost what it had acknowledged. Listeners, which never reject, are called one after the other, in the order in which they
   * were added. Returns what ends that.
   */
  onReturn(listener: () => Promise<void>): () => void;
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** How long a command may wait for its answer, in milliseconds: an outage must be reported within 2 s. */
export const commandTimeoutMs = 1_500;

/** Idle time after which the operating system asks whether a connection is still there, in milliseconds. */
const keepAliveMs = 5_000;

/** Creates a script from its text. */
export function createRedisScript(text: string): RedisScript {
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

/** Settings with which a connection fails fast instead of queueing, and comes back by itself. */
function redisOptions(): RedisOptions {
  return {
    enableOfflineQueue: false,
    // A command that is sent again by itself would find its own first try and take it for another's.
    autoResendUnfulfilledCommands: false,
    // Commands under way when the connection breaks fail then; without this they would never be answered.
    maxRetriesPerRequest: 0,
    connectTimeout: commandTimeoutMs,
    commandTimeout: commandTimeoutMs,
    retryStrategy: () => probeIntervalMs,
    keepAlive: keepAliveMs,
  };
}

/** Connects to a Redis server; resolves whether it is there or not. The URL's password is in no message. */
export async function openRedisStore(options: {
  url: string;
  /**
   * Certificates of a `rediss:` URL; those of Node are trusted where it is left out. Each connection is made with what the
   * object holds then.
   */
  tls?: PeerTls | undefined;
  /** Called with each problem, once, and with `undefined` when it has gone. */
  onProblem?: (problem: string | undefined) => void;
}): Promise<RedisStore> {
  const { url, tls, onProblem } = options;
  const name = nameOf(url);
  const client = new Redis(url, { ...redisOptions(), ...(tls !== undefined && { tls }) });
  let trouble = "not connected";
  // Its alert may be lost in the reset of the connection.
  const resetHint =
    url.startsWith("rediss:") && tls?.cert === undefined
      ? " (if it asks for a client certificate: name one in engine.tls.cert and engine.tls.key)"
      : "";
  const listeners = new Set<() => Promise<void>>();
  let answered = false;
  const circuit = createStoreCircuit({
    initialProblem: `Redis at ${name} is not connected`,
    probe: async () => {
      if (client.status !== "ready") throw new Error(trouble);
      await client.ping();
    },
    describe: (cause) => `Redis at ${name}${isTimeout(cause) ? " does not answer" : `: ${errorMessage(cause)}`}`,
    isAbsence: (cause) => isTimeout(cause) || client.status !== "ready",
    onFailedProbe: () => {
      // Behind a silent network the old connection may never come back: try a new one.
      if (client.status === "ready") client.disconnect(true);
    },
    onProblem(problem) {
      onProblem?.(problem);
      if (problem !== undefined) return;
      if (answered) void callAll(listeners);
      answered = true;
    },
  });
  const first = Promise.withResolvers<void>();
  client.on("error", (cause: Error) => {
    const reset = (cause as NodeJS.ErrnoException).code === "ECONNRESET";
    trouble = tlsProblem(cause, "engine.tls") ?? `${cause.message}${reset ? resetHint : ""}`;
    first.resolve();
  });
  client.on("close", () => circuit.report(`Redis at ${name}: ${trouble}`));
  client.on("ready", () => {
    trouble = "the connection was lost";
    first.resolve();
    void circuit.probe();
  });

  const ask: RedisStore["ask"] = (request) => circuit.request(() => request(client));

  async function script(
    { text, sha }: RedisScript,
    keys: readonly string[],
    args: readonly RedisArgument[],
  ): Promise<unknown> {
    return await ask(async () => {
      try {
        return await client.callBuffer("EVALSHA", [sha, keys.length, ...keys, ...args]);
      } catch (cause) {
        if (!(cause instanceof Error) || !cause.message.startsWith("NOSCRIPT")) throw cause;
        return await client.callBuffer("EVAL", [text, keys.length, ...keys, ...args]);
      }
    });
  }

  await Promise.race([first.promise, new Promise((resolve) => setTimeout(resolve, commandTimeoutMs).unref())]);
  await circuit.probe();

  return {
    url,
    client,
    script,
    ask,
    problem: () => circuit.problem(),
    onReturn(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async ping() {
      await ask((connected) => connected.ping());
    },
    async close() {
      circuit.close();
      client.disconnect();
    },
  };
}

async function callAll(listeners: Iterable<() => Promise<void>>): Promise<void> {
  for (const listener of listeners) await listener();
}

/**
 * Explains why a Redis server would lose acknowledged work; undefined where it keeps it.
 * Rejects with a StoreUnavailableError.
 */
export async function checkRedisDurability(store: RedisStore): Promise<string | undefined> {
  const info = await store.ask((client) => client.info("persistence", "memory"));
  const field = (name: string): string | undefined => new RegExp(`^${name}:(\\S*)`, "m").exec(info)?.[1];
  const problems: string[] = [];
  if (field("aof_enabled") !== "1") problems.push("it keeps no append-only file (set `appendonly yes`)");
  if (field("maxmemory_policy") !== "noeviction") {
    problems.push(`it may evict keys (maxmemory-policy is ${field("maxmemory_policy") ?? "unknown"}: set noeviction)`);
  }
  if (problems.length === 0) return undefined;
  return `Redis at ${nameOf(store.url)} may lose acknowledged work: ${problems.join(" and ")}`;
}

function nameOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : "the configured address";
}

function isTimeout(cause: unknown): boolean {
  return cause instanceof Error && cause.message.includes("timed out");
}
