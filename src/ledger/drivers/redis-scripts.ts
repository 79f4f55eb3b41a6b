import { createRedisScript } from "../../store/redis.ts";
import { endMarginMs, takeoverRuns } from "../ledger-store.ts";
import { erasureMs } from "./erasures.ts";

/** Margin added to a retention before Redis expires an entry, in milliseconds. Normally `erase` deletes it earlier. */
const expiryMarginMs = 7 * 86_400_000;

/** How long replicas cache recent outcomes, in milliseconds, because a fail-over may lose them. */
export const rememberMs = 60_000;

/**
 * How long a key that was erased on request is rejected, in milliseconds: longer than any replica caches its outcome.
 */
const erasedMs = 2 * rememberMs;

// Every script gets the prefix of all keys, the name of the requesting owner, and then its own arguments. Keys below
// the prefix: e:KEY (hash, one entry: see `put`), run:OWNER (set of keys it runs), owners (set), beats (hash of owners:
// number of heartbeats), ended and uncertain (sorted sets of keys by the time they ended), conv:CONVERSATION and
// turn:RUN (sets of keys that ended there), erased (sorted set of keys by the time they were erased on request),
// erasures (sorted set of selectors, each after an id, by the time of the request).
const common = `
local P, me = ARGV[1], ARGV[2]
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local function text(n) return string.format('%.0f', n) end
-- A heartbeat is a number that grows. Whether an owner lives is judged by others, who watch it.
local function beat()
  redis.call('SADD', P..'owners', me)
  return redis.call('HINCRBY', P..'beats', me, 1)
end
-- True for an owner that has left, and for one whose number is still the one that the asker calls dead.
local function dead(owner, judged)
  local beats = owner ~= '' and redis.call('HGET', P..'beats', owner)
  return not beats or string.find(judged, ' '..owner..':'..beats..' ', 1, true) ~= nil
end
-- A write (b) is not taken over before its run must have ended (z).
local function over(e) return e[1] ~= '1' or tonumber(e[2] or '0') <= now end
local function adopt(key, from, attempt)
  local timeout = tonumber(redis.call('HGET', P..'e:'..key, 'm') or '0')
  redis.call('HSET', P..'e:'..key, 'o', me, 'a', attempt, 'q', text(now),
    'z', text(now + ${takeoverRuns} * timeout + ${endMarginMs}))
  redis.call('SREM', P..'run:'..from, key)
  redis.call('SADD', P..'run:'..me, key)
end
local function show(state, key)
  local e = redis.call('HMGET', P..'e:'..key, 'd', 'i', 's', 'r', 'c', 'z', 'o', 'a', 'l')
  return { state, key, e[1], e[2], e[3], e[4] or '', e[5], e[6] or '0', e[7], e[8], e[9] or '' }
end
-- d digest, i intent, s state, o owner, a attempt, l lineage, c created, q acquired, z ends, m timeout, b is a write,
-- v conversation, w run, f source; once ended: k keep, r result
local function put(key, attempt, lineage, d, i, v, w, f, b, m)
  redis.call('HSET', P..'e:'..key, 'd', d, 'i', i, 's', '0', 'o', me, 'a', attempt, 'l', lineage, 'c', text(now),
    'q', text(now), 'z', text(now + tonumber(m) + ${endMarginMs}), 'm', m, 'b', b, 'v', v, 'w', w, 'f', f)
end
local function remove(key)
  local e = redis.call('HMGET', P..'e:'..key, 'v', 'w')
  if e[1] and e[1] ~= '' then redis.call('SREM', P..'conv:'..e[1], key) end
  if e[2] and e[2] ~= '' then redis.call('SREM', P..'turn:'..e[2], key) end
  redis.call('ZREM', P..'ended', key)
  redis.call('ZREM', P..'uncertain', key)
  return redis.call('DEL', P..'e:'..key)
end
local function finish(key, attempt, state, keep, result, retention)
  local e = redis.call('HMGET', P..'e:'..key, 'v', 'w', 'o')
  redis.call('SREM', P..'run:'..e[3], key)
  if keep == 'drop' then return remove(key) end
  redis.call('ZREM', P..'erased', key)
  redis.call('HSET', P..'e:'..key, 'o', me, 'a', attempt, 's', state, 'k', keep, 'r', result)
  local expiry = tonumber(retention) + ${expiryMarginMs}
  redis.call('PEXPIRE', P..'e:'..key, text(expiry))
  redis.call('ZREM', P..(state == '2' and 'ended' or 'uncertain'), key)
  redis.call('ZADD', P..(state == '2' and 'uncertain' or 'ended'), text(now), key)
  for name, value in pairs({ ['conv:'] = e[1], ['turn:'] = e[2] }) do
    if value and value ~= '' then
      redis.call('SADD', P..name..value, key)
      if redis.call('PTTL', P..name..value) < expiry then redis.call('PEXPIRE', P..name..value, text(expiry)) end
    end
  end
end
`;

function script(body: string): ReturnType<typeof createRedisScript> {
  return createRedisScript(common + body);
}

/**
 * Records that the owner is alive. Returns the server's time, then owners and their counts alternately, then what was
 * erased on request lately.
 */
export const heartbeat = script(`
beat()
return { text(now), redis.call('HGETALL', P..'beats'),
  redis.call('ZRANGEBYSCORE', P..'erasures', text(now - ${erasureMs}), '+inf') }
`);

/**
 * Begins. Arguments: latest time at which the request is still wanted, attempt, key, digest, intent, conversation, run,
 * source, is a write, timeout, dead owners.
 */
export const begin = script(`
local latest, attempt, key, digest = tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]
if now > latest then return { 'late' } end
beat()
local e = redis.call('HMGET', P..'e:'..key, 'd', 's', 'o', 'k', 'b', 'z')
if not e[1] or (e[2] ~= '0' and e[4] == 'show') then
  if e[1] then remove(key) end
  put(key, attempt, me..':'..attempt, digest, ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12])
  redis.call('SADD', P..'run:'..me, key)
  return { 'new' }
end
if e[1] ~= digest then return show('conflict', key) end
if e[2] ~= '0' then return show('ended', key) end
if e[3] ~= me and dead(e[3], ARGV[13]) and over({ e[5] or '1', e[6] }) then
  adopt(key, e[3], '-'..attempt)
  return show('abandoned', key)
end
return show('running', key)
`);

/** Finishes. Arguments: key, attempt, lineage, state, keep, result, retention in milliseconds. */
export const finish = script(`
local key, attempt, lineage, state = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local e = redis.call('HMGET', P..'e:'..key, 'o', 's', 'a', 'l')
if not e[1] then return { 'gone' } end
local held = e[1] == me and (e[3] == attempt or e[3] == '-'..attempt)
if (e[2] == '0' and held) or (e[2] == '2' and e[4] == lineage and state ~= '2') then
  finish(key, attempt, state, ARGV[7], ARGV[8], ARGV[9])
  return { 'stored' }
end
if held then return { 'stored' } end
return show('superseded', key)
`);

const writeBody = `
local key = ARGV[3]
if redis.call('EXISTS', P..'e:'..key) == 1 then return show('superseded', key) end
put(key, ARGV[4], ARGV[5], ARGV[10], ARGV[11], ARGV[12], ARGV[13], ARGV[14], ARGV[15], ARGV[16])
finish(key, ARGV[4], ARGV[6], ARGV[7], ARGV[8], ARGV[9])
return { 'stored' }
`;

/**
 * Writes an ended entry. Arguments: key, attempt, lineage, state, keep, result, retention, digest, intent,
 * conversation, run, source, is a write, timeout.
 */
export const write = script(writeBody);

/** Writes an ended entry again, unless it was erased on request. */
export const restore = script(`
if redis.call('ZSCORE', P..'erased', ARGV[3]) then return { 'erased' } end
${writeBody}`);

/** Undoes an attempt. Arguments: attempt, and a key or nothing. */
export const release = script(`
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

/** Gives an entry a new run. Arguments: key, attempt, timeout. */
export const restart = script(`
local key, attempt = ARGV[3], ARGV[4]
local e = redis.call('HMGET', P..'e:'..key, 'o', 's', 'a')
if not e[1] then return { 'gone' } end
if e[1] ~= me or e[2] ~= '0' or (e[3] ~= attempt and e[3] ~= '-'..attempt) then return show('superseded', key) end
redis.call('HSET', P..'e:'..key, 'l', me..':'..attempt, 'z', text(now + tonumber(ARGV[5]) + ${endMarginMs}))
return { 'restarted' }
`);

/**
 * Lists the entries that this owner has been running for at least the given milliseconds: keys and attempts
 * alternately.
 */
export const running = script(`
local found = {}
for _, key in ipairs(redis.call('SMEMBERS', P..'run:'..me)) do
  local e = redis.call('HMGET', P..'e:'..key, 'o', 's', 'a', 'q')
  if e[1] == me and e[2] == '0' then
    if tonumber(e[4] or '0') <= now - tonumber(ARGV[3]) then
      found[#found + 1] = key
      found[#found + 1] = e[3]
    end
  else
    redis.call('SREM', P..'run:'..me, key)
  end
end
return found
`);

/**
 * Takes over abandoned entries. Arguments: latest time at which the request is still wanted, attempt, limit, dead
 * owners.
 */
export const recover = script(`
local latest, attempt, limit = tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
if now > latest then return { 'late' } end
local taken = {}
for _, owner in ipairs(redis.call('SMEMBERS', P..'owners')) do
  if owner ~= me and dead(owner, ARGV[6]) then
    local cursor = '0'
    repeat
      local page = redis.call('SSCAN', P..'run:'..owner, cursor, 'COUNT', 100)
      cursor = page[1]
      for _, key in ipairs(page[2]) do
        if #taken >= limit then break end
        local e = redis.call('HMGET', P..'e:'..key, 'o', 's', 'b', 'z')
        if e[1] ~= owner or e[2] ~= '0' then
          redis.call('SREM', P..'run:'..owner, key)
        elseif over({ e[3] or '1', e[4] }) then
          adopt(key, owner, '-'..attempt)
          taken[#taken + 1] = show('abandoned', key)
        end
      end
    until cursor == '0' or #taken >= limit
    if redis.call('SCARD', P..'run:'..owner) == 0 then
      redis.call('SREM', P..'owners', owner)
      redis.call('HDEL', P..'beats', owner)
    end
  end
end
return taken
`);

/** Finds an entry. Argument: key. */
export const find = script(`
if redis.call('EXISTS', P..'e:'..ARGV[3]) == 0 then return false end
return show('', ARGV[3])
`);

/**
 * Deletes expired entries, at most a thousand of each kind at once. Arguments: age of ended entries, age of UNCERTAIN
 * ones, and the clock's step in milliseconds. Returns the numbers of inspected and deleted entries.
 */
export const eraseOld = script(`
local stepped, looked, erased = tonumber(ARGV[5]), 0, 0
for name, age in pairs({ ended = ARGV[3], uncertain = ARGV[4] }) do
  local keys = redis.call('ZRANGEBYSCORE', P..name, '-inf', text(now - tonumber(age) - stepped), 'LIMIT', 0, 1000)
  for _, key in ipairs(keys) do
    if redis.call('HGET', P..'e:'..key, 's') ~= '0' then erased = erased + remove(key) end
    redis.call('ZREM', P..name, key)
  end
  looked = looked + #keys
end
return { looked, erased }
`);

/**
 * Deletes the entries that ended in a conversation, in a run, or in both, optionally only those of one source. Last
 * argument: what other replicas learn of it.
 */
export const eraseSelected = script(`
local conversation, run, source, erased = ARGV[3], ARGV[4], ARGV[5], 0
redis.call('ZREMRANGEBYSCORE', P..'erased', '-inf', text(now - ${erasedMs}))
redis.call('ZREMRANGEBYSCORE', P..'erasures', '-inf', text(now - ${erasureMs}))
redis.call('ZADD', P..'erasures', text(now), ARGV[6])
redis.call('PEXPIRE', P..'erasures', ${erasureMs})
local set = conversation ~= '' and P..'conv:'..conversation or P..'turn:'..run
for _, key in ipairs(redis.call('SMEMBERS', set)) do
  local e = redis.call('HMGET', P..'e:'..key, 's', 'w', 'f', 'v')
  local left = conversation ~= '' and e[4] ~= conversation or conversation == '' and e[2] ~= run
  if not e[1] or left then
    -- The entry is gone, or its key began again elsewhere.
    redis.call('SREM', set, key)
  elseif e[1] ~= '0' and (run == '' or e[2] == run) and (source == '' or e[3] == source) then
    erased = erased + remove(key)
    redis.call('SREM', set, key)
    redis.call('ZADD', P..'erased', text(now), key)
  end
end
return erased
`);

/** Records that the owner has left permanently: its running entries may be taken over. */
export const leave = script(`
redis.call('HDEL', P..'beats', me)
if redis.call('SCARD', P..'run:'..me) == 0 then redis.call('SREM', P..'owners', me) end
return 1
`);
