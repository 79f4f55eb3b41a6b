import { createHash } from "node:crypto";
import { Redis } from "ioredis";
import { createStoreCircuit, lookMs } from "./store-circuit.ts";

/** A Lua script, sent by its digest. */
export interface RedisScript {
  readonly text: string;
  readonly sha: string;
}

/** What a script takes. */
export type RedisArgument = string | number | Buffer;

/** A Redis server. A request that gets no answer in time fails, and so does all that follows until the server answers. */
export interface RedisStore {
  readonly url: string;
  /** The connection that all requests share. */
  readonly client: Redis;
  /** One round trip. Rejects with a StoreUnavailableError. */
  script(script: RedisScript, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown>;
  /** One command through the given client call. Rejects with a StoreUnavailableError. */
  ask<T>(run: (client: Redis) => Promise<T>): Promise<T>;
  /** Why the server cannot be used, in words for the operator; undefined while it can. */
  fault(): string | undefined;
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** How long a command may wait for its answer, in milliseconds: an outage must be told within 2 s. */
export const commandTimeoutMs = 1_500;

/** Makes a script of its text. */
export function createRedisScript(text: string): RedisScript {
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

/** Settings with which a connection fails fast instead of queueing, and comes back by itself. */
function redisOptions(): { [name: string]: unknown } & { enableOfflineQueue: false } {
  return {
    enableOfflineQueue: false,
    // A command sent again by itself would find its own first try and take it for somebody else's.
    autoResendUnfulfilledCommands: false,
    // What is under way when the connection breaks fails then; without this it would never be heard of again.
    maxRetriesPerRequest: 0,
    connectTimeout: commandTimeoutMs,
    retryStrategy: () => lookMs,
    keepAlive: 5_000,
  };
}

/** Connects to a Redis server; resolves whether it is there or not. The URL's password is in no message. */
export async function openRedisStore(options: {
  url: string;
  /** Told of each fault, once, and `undefined` when it has gone. */
  onFault?: (fault: string | undefined) => void;
}): Promise<RedisStore> {
  const { url, onFault } = options;
  const name = nameOf(url);
  const client = new Redis(url, { ...redisOptions(), commandTimeout: commandTimeoutMs });
  const gate = createStoreCircuit({
    fault: `Redis at ${name} is not connected`,
    probe: async () => {
      if (client.status !== "ready") throw new Error(trouble);
      await client.ping();
    },
    words: (cause) => (isTimeout(cause) ? `Redis at ${name} does not answer` : `Redis at ${name}: ${messageOf(cause)}`),
    isAbsence: (cause) => isTimeout(cause) || client.status !== "ready",
    onFailedLook: (times) => {
      // Behind a silent network the old connection may never come back: try a new one.
      if (times % 3 === 0 && client.status === "ready") client.disconnect(true);
    },
    onFault,
  });
  let trouble = "not connected";
  const first = Promise.withResolvers<void>();
  client.on("error", (cause: Error) => {
    trouble = cause.message;
    first.resolve();
  });
  client.on("close", () => gate.say(`Redis at ${name}: ${trouble}`));
  client.on("ready", () => {
    trouble = "the connection was lost";
    first.resolve();
    void gate.look();
  });

  const ask: RedisStore["ask"] = (run) => gate.ask(() => run(client));

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
  await gate.look();

  return {
    url,
    client,
    script,
    ask,
    fault: () => gate.fault(),
    async ping() {
      await ask((client) => client.ping());
    },
    async close() {
      gate.close();
      client.disconnect();
    },
  };
}

/**
 * Says why a Redis server would lose acknowledged work, in a sentence for the operator; undefined where it keeps it.
 * Rejects with a StoreUnavailableError.
 */
export async function checkRedisDurability(store: RedisStore): Promise<string | undefined> {
  const info = await store.ask((client) => client.info("persistence", "memory"));
  const field = (name: string): string | undefined => new RegExp(`^${name}:(\\S*)`, "m").exec(info)?.[1];
  const faults: string[] = [];
  if (field("aof_enabled") !== "1") faults.push("it keeps no append-only file (set `appendonly yes`)");
  if (field("maxmemory_policy") !== "noeviction") {
    faults.push(`it may evict keys (maxmemory-policy is ${field("maxmemory_policy") ?? "unknown"}: set noeviction)`);
  }
  if (faults.length === 0) return undefined;
  return `Redis at ${nameOf(store.url)} may lose acknowledged work: ${faults.join(" and ")}`;
}

function nameOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : "the configured address";
}

function isTimeout(cause: unknown): boolean {
  return cause instanceof Error && cause.message.includes("timed out");
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
