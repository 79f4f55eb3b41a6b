import { createHash } from "node:crypto";
import { Redis } from "ioredis";
import type { RedisOptions } from "ioredis";
import type { PeerTls } from "../config/peer-tls.ts";
import { errorMessage } from "../error-message.ts";
import { tlsProblem } from "../config/tls-problem.ts";
import { createStoreCircuit, probeIntervalMs } from "./store-circuit.ts";

/** A Lua script, sent by its digest (EVALSHA). */
export interface RedisScript {
  readonly text: string;
  readonly sha: string;
}

/** An argument of a script. */
export type RedisArgument = string | number | Buffer;

/**
 * A Redis server. A request without an answer in time fails; so does every later request until the server answers
 * again.
 */
export interface RedisStore {
  readonly url: string;
  /** The connection that all requests share. */
  readonly client: Redis;
  /** Runs a script in one round trip. Rejects with a StoreUnavailableError. */
  script(script: RedisScript, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown>;
  /** Sends a request through the client. Rejects with a StoreUnavailableError. */
  request<T>(request: (client: Redis) => Promise<T>): Promise<T>;
  /** The reason why the server is unusable, for the operator; undefined while it works. */
  problem(): string | undefined;
  /**
   * Calls `listener` whenever the server answers again after an outage or a reconnection: a fail-over may have lost
   * acknowledged writes. Listeners must not reject; they run one after the other, in the order in which they were
   * added. Returns a function that removes the listener.
   */
  onReturn(listener: () => Promise<void>): () => void;
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Timeout of a command, in milliseconds: an outage must be reported within 2 s. */
export const commandTimeoutMs = 1_500;

/** Idle time before the operating system sends TCP keep-alive probes, in milliseconds. */
const keepAliveMs = 5_000;

/** Creates a script from its text. */
export function createRedisScript(text: string): RedisScript {
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

/** Connection options that fail fast instead of queueing, and reconnect automatically. */
function redisOptions(): RedisOptions {
  return {
    enableOfflineQueue: false,
    // A command that is resent automatically would find the effect of its first attempt and mistake it for another
    // client's.
    autoResendUnfulfilledCommands: false,
    // Commands in flight fail when the connection breaks; otherwise they would never be answered.
    maxRetriesPerRequest: 0,
    connectTimeout: commandTimeoutMs,
    commandTimeout: commandTimeoutMs,
    retryStrategy: () => probeIntervalMs,
    keepAlive: keepAliveMs,
  };
}

/**
 * Connects to a Redis server. Resolves whether or not the server is reachable. No message contains the URL's password.
 */
export async function openRedisStore(options: {
  url: string;
  /** Certificates for a `rediss:` URL; Node's by default. Each new connection uses the object's current content. */
  tls?: PeerTls | undefined;
  /** Called once with each problem, and with `undefined` when it is over. */
  onProblem?: (problem: string | undefined) => void;
}): Promise<RedisStore> {
  const { url, tls, onProblem } = options;
  const name = nameOf(url);
  const client = new Redis(url, { ...redisOptions(), ...(tls !== undefined && { tls }) });
  let connectionError = "not connected";
  // The server's TLS alert may be lost in the reset of the connection.
  const resetHint =
    url.startsWith("rediss:") && tls?.cert === undefined
      ? " (if it asks for a client certificate: name one in engine.tls.cert and engine.tls.key)"
      : "";
  const listeners = new Set<() => Promise<void>>();
  let answered = false;
  const circuit = createStoreCircuit({
    initialProblem: `Redis at ${name} is not connected`,
    probe: async () => {
      if (client.status !== "ready") throw new Error(connectionError);
      await client.ping();
    },
    describe: (cause) => `Redis at ${name}${isTimeout(cause) ? " does not answer" : `: ${errorMessage(cause)}`}`,
    isAbsence: (cause) => isTimeout(cause) || client.status !== "ready",
    onFailedProbe: () => {
      // Behind a silent network, the old connection may never recover: open a new one.
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
    connectionError = tlsProblem(cause, "engine.tls") ?? `${cause.message}${reset ? resetHint : ""}`;
    first.resolve();
  });
  client.on("close", () => circuit.report(`Redis at ${name}: ${connectionError}`));
  client.on("ready", () => {
    connectionError = "the connection was lost";
    first.resolve();
    void circuit.probe();
  });

  const request: RedisStore["request"] = (send) => circuit.request(() => send(client));

  async function script(
    { text, sha }: RedisScript,
    keys: readonly string[],
    args: readonly RedisArgument[],
  ): Promise<unknown> {
    return await request(async () => {
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
    request,
    problem: () => circuit.problem(),
    onReturn(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async ping() {
      await request((connected) => connected.ping());
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
 * Explains why a Redis server would lose acknowledged writes; undefined if its settings keep them. Rejects with a
 * StoreUnavailableError.
 */
export async function checkRedisDurability(store: RedisStore): Promise<string | undefined> {
  const info = await store.request((client) => client.info("persistence", "memory"));
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
