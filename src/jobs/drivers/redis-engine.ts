import { Queue, Worker } from "bullmq";
import { createRedisScript } from "../../store/redis.ts";
import type { RedisStore } from "../../store/redis.ts";
import type { Redis } from "ioredis";
import { queueName } from "./engine.ts";
import type { StoredJob } from "../job-codec.ts";
import type { EngineWorker, JobEngine, JobIndex } from "./engine.ts";

const addToIndex = createRedisScript(`
if redis.call('HSETNX', KEYS[1], ARGV[2], ARGV[1]) == 0 then return 0 end
redis.call('ZADD', KEYS[2]..ARGV[1], redis.call('INCR', KEYS[3]), ARGV[2])
return 1
`);

const removeFromIndex = createRedisScript(`
for _, id in ipairs(ARGV) do
  local tenant = redis.call('HGET', KEYS[1], id)
  if tenant then
    redis.call('ZREM', KEYS[2]..tenant, id)
    redis.call('HDEL', KEYS[1], id)
  end
end
return 1
`);

/** BullMQ on a Redis server. Closing it leaves the store open. */
export function createRedisEngine(store: RedisStore, prefix = "jackfield"): JobEngine {
  const queue = new Queue<StoredJob>(queueName, { connection: store.client, prefix, skipVersionCheck: true });
  queue.on("error", () => {
    // Told by the store, which asks the server twice a second.
  });
  const connections = new Map<EngineWorker, Redis>();
  return {
    queue,
    index: createRedisIndex(store, `${prefix}:job-index:`),
    createWorker(processor, options) {
      const connection = store.connect();
      const worker = new Worker<StoredJob>(queueName, processor, { ...options, connection, prefix });
      worker.on("error", () => {
        // Told by the store as well: the worker tries again by itself.
      });
      connections.set(worker, connection);
      return worker;
    },
    async freeWorker(worker) {
      connections.get(worker)?.disconnect();
      connections.delete(worker);
    },
    ask: (run) => store.ask(run),
    async ping() {
      await store.ask((client) => client.set(`${prefix}:probe`, "1"));
    },
    async close() {
      await queue.close();
    },
  };
}

function createRedisIndex(store: RedisStore, prefix: string): JobIndex {
  const keys = [`${prefix}tenant`, `${prefix}of:`, `${prefix}next`];
  return {
    async add(tenant, id) {
      return (await store.script(addToIndex, keys, [tenant, id])) === 1;
    },
    async page(tenant, before, size) {
      const from = before === "" ? "+inf" : `(${before}`;
      const found = await store.ask((client) =>
        client.zrevrangebyscore(`${prefix}of:${tenant}`, from, "-inf", "WITHSCORES", "LIMIT", 0, size),
      );
      return Array.from({ length: found.length / 2 }, (_, place) => ({
        id: String(found[place * 2]),
        place: String(found[place * 2 + 1]),
      }));
    },
    async remove(ids) {
      if (ids.length > 0) await store.script(removeFromIndex, keys, ids);
    },
  };
}
