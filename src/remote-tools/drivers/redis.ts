import { createRedisScript } from "../../store/redis.ts";
import type { RedisStore } from "../../store/redis.ts";
import type { RegisteredTools } from "../registered-tools.ts";

const load = createRedisScript(`
  local version = redis.call("GET", KEYS[2]) or "0"
  if version == ARGV[1] then return {version} end
  return {version, redis.call("HGETALL", KEYS[1])}`);

const save = createRedisScript(`
  redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])
  return redis.call("INCR", KEYS[2])`);

const replace = createRedisScript(`
  if redis.call("HGET", KEYS[1], ARGV[1]) ~= ARGV[3] then return 0 end
  redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])
  return redis.call("INCR", KEYS[2])`);

const remove = createRedisScript(`
  redis.call("HDEL", KEYS[1], ARGV[1])
  return redis.call("INCR", KEYS[2])`);

/** Registered tools on a Redis server, shared by replicas: one hash, and a counter of changes. */
export function createRedisRegisteredTools(store: RedisStore, options: { prefix?: string } = {}): RegisteredTools {
  // The hash tag puts both keys into one slot.
  const { prefix = "jackfield:{tools}:" } = options;
  const keys = [`${prefix}registered`, `${prefix}version`];
  return {
    shared: true,
    async load(known = "") {
      const answer = await store.script(load, keys, [known]);
      const [version, fields] = Array.isArray(answer) ? (answer as unknown[]) : [];
      if (!Array.isArray(fields)) return undefined;
      const texts = fields.map(String);
      const tools = texts.flatMap((key, index) => (index % 2 === 0 ? [{ key, text: texts[index + 1] ?? "" }] : []));
      return { version: String(version), tools };
    },
    async save({ key, text }) {
      await store.script(save, keys, [key, text]);
    },
    async replace({ key, text }, before) {
      await store.script(replace, keys, [key, text, before]);
    },
    async remove(key) {
      await store.script(remove, keys, [key]);
    },
    close: async () => {},
  };
}
