import { createRedisScript } from "../../store/redis.ts";

/** How long an owner is taken to live after its last heartbeat, in milliseconds. */
export const leaseMs = 2_500;

// Every script gets the prefix of all keys, the name of the asking owner, and then what it needs. Keys below the prefix:
// e:KEY (hash, one entry), run:OWNER (set of keys it runs), lease:OWNER (since when it beats), owners (set),
// ended (sorted set of keys by the time they ended), conv:CONVERSATION (set of keys that ended there).
const common = `
local P, me = ARGV[1], ARGV[2]
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local function text(n) return string.format('%.0f', n) end
local function beat()
  local since = redis.call('GET', P..'lease:'..me)
  if not since then since = text(now) end
  redis.call('SET', P..'lease:'..me, since, 'PX', ${leaseMs})
  redis.call('SADD', P..'owners', me)
  return tonumber(since)
end
-- After an outage of the server all leases are gone at once: nobody is dead until those who live have had time to beat.
local function settled()
  local since = redis.call('GET', P..'lease:'..me)
  return since and now - tonumber(since) >= ${leaseMs}
end
local function dead(owner)
  return owner == '' or (owner ~= me and settled() and redis.call('EXISTS', P..'lease:'..owner) == 0)
end
local function adopt(key, from, attempt)
  redis.call('HSET', P..'e:'..key, 'o', me, 'a', attempt)
  redis.call('SREM', P..'run:'..from, key)
  redis.call('SADD', P..'run:'..me, key)
end
local function show(state, key)
  local e = redis.call('HMGET', P..'e:'..key, 'd', 'i', 's', 'r', 'c')
  return { state, key, e[1], e[2], e[3], e[4] or '', e[5] }
end
`;

function script(body: string): ReturnType<typeof createRedisScript> {
  return createRedisScript(common + body);
}

/** Says that the owner lives; forgets the order of what has expired. Window in milliseconds. Answers the server's time. */
export const beat = script(`
beat()
redis.call('ZREMRANGEBYSCORE', P..'ended', '-inf', text(now - tonumber(ARGV[3])))
return text(now)
`);

/** Begins: latest time at which it is still wanted, attempt, key, digest, intent, conversation. */
export const begin = script(`
local latest, attempt, key, digest, intent, conversation = tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
if now > latest then return { 'late' } end
if redis.call('EXISTS', P..'lease:'..me) == 0 then beat() end
local e = redis.call('HMGET', P..'e:'..key, 'd', 's', 'o', 'k')
if not e[1] or (e[2] ~= '0' and e[4] == 'show') then
  if e[1] then
    redis.call('DEL', P..'e:'..key)
    redis.call('ZREM', P..'ended', key)
  end
  redis.call('HSET', P..'e:'..key, 'd', digest, 'i', intent, 's', '0', 'o', me, 'a', attempt, 'c', text(now), 'v', conversation)
  redis.call('SADD', P..'run:'..me, key)
  return { 'new' }
end
if e[1] ~= digest then return { 'conflict' } end
if e[2] ~= '0' then return show('ended', key) end
if dead(e[3]) then
  adopt(key, e[3], '-'..attempt)
  return show('abandoned', key)
end
return show('running', key)
`);

/** Finishes: key, state, keep, result, window in milliseconds. */
export const finish = script(`
local key, state, keep, result, window = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local e = redis.call('HMGET', P..'e:'..key, 'o', 's', 'v')
if e[1] ~= me or e[2] ~= '0' then return 0 end
if keep == 'drop' then
  redis.call('DEL', P..'e:'..key)
else
  redis.call('HSET', P..'e:'..key, 's', state, 'k', keep, 'r', result)
  redis.call('PEXPIRE', P..'e:'..key, window)
  redis.call('ZADD', P..'ended', text(now), key)
  if e[3] ~= '' then
    redis.call('SADD', P..'conv:'..e[3], key)
    redis.call('PEXPIRE', P..'conv:'..e[3], window)
  end
end
redis.call('SREM', P..'run:'..me, key)
return 1
`);

/** Gives an attempt back: attempt, and a key or nothing. */
export const giveBack = script(`
local attempt = ARGV[3]
local keys = ARGV[4] and { ARGV[4] } or redis.call('SMEMBERS', P..'run:'..me)
for _, key in ipairs(keys) do
  local e = redis.call('HMGET', P..'e:'..key, 'o', 's', 'a')
  if e[1] == me and e[2] == '0' then
    if e[3] == attempt then
      redis.call('DEL', P..'e:'..key)
      redis.call('SREM', P..'run:'..me, key)
    elseif e[3] == '-'..attempt then
      redis.call('HSET', P..'e:'..key, 'o', '')
      redis.call('SREM', P..'run:'..me, key)
      redis.call('SADD', P..'run:', key)
      redis.call('SADD', P..'owners', '')
    end
  end
end
return #keys
`);

/** Takes over: latest time at which it is still wanted, attempt, limit. */
export const takeOver = script(`
local latest, attempt, limit = tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
if now > latest then return { 'late' } end
if redis.call('EXISTS', P..'lease:'..me) == 0 then beat() end
local taken = {}
for _, owner in ipairs(redis.call('SMEMBERS', P..'owners')) do
  if dead(owner) then
    while #taken < limit do
      local key = redis.call('SRANDMEMBER', P..'run:'..owner)
      if not key then break end
      local e = redis.call('HMGET', P..'e:'..key, 'o', 's')
      if e[1] == owner and e[2] == '0' then
        adopt(key, owner, '-'..attempt)
        taken[#taken + 1] = show('abandoned', key)
      else
        redis.call('SREM', P..'run:'..owner, key)
      end
    end
    if redis.call('SCARD', P..'run:'..owner) == 0 then redis.call('SREM', P..'owners', owner) end
  end
end
return taken
`);

/** Finds: key. */
export const find = script(`
if redis.call('EXISTS', P..'e:'..ARGV[3]) == 0 then return false end
return show('', ARGV[3])
`);

/** Forgets what ended at least so many milliseconds ago, at most a thousand at once. Answers how many it looked at and forgot. */
export const eraseOld = script(`
local keys = redis.call('ZRANGEBYSCORE', P..'ended', '-inf', text(now - tonumber(ARGV[3])), 'LIMIT', 0, 1000)
local erased = 0
for _, key in ipairs(keys) do
  if redis.call('HGET', P..'e:'..key, 's') ~= '0' then erased = erased + redis.call('DEL', P..'e:'..key) end
  redis.call('ZREM', P..'ended', key)
end
return { #keys, erased }
`);

/** Forgets what ended in a conversation. */
export const eraseConversation = script(`
local set, erased = P..'conv:'..ARGV[3], 0
for _, key in ipairs(redis.call('SMEMBERS', set)) do
  if redis.call('HGET', P..'e:'..key, 's') ~= '0' then
    erased = erased + redis.call('DEL', P..'e:'..key)
    redis.call('ZREM', P..'ended', key)
    redis.call('SREM', set, key)
  end
end
return erased
`);

/** Says that the owner is gone for good: what it still runs may be taken over at once. */
export const leave = script(`
redis.call('DEL', P..'lease:'..me)
if redis.call('SCARD', P..'run:'..me) == 0 then redis.call('SREM', P..'owners', me) end
return 1
`);
