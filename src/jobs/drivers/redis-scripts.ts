import { JobState } from "../../../gen/jackfield/v1/jobs_pb.ts";
import { suspectDeaths } from "../job-table.ts";
import { createRedisScript } from "../../store/redis.ts";

const { ACCEPTED, EXECUTING, DONE, DEAD, CANCELLED } = JobState;

// Every script gets the prefix of all keys and then its own arguments. Keys below the prefix: j:ID (hash, one job), seq
// (counter), open (sorted set of open jobs, by the time they are due), ended and dead (sorted sets of ended jobs, by the
// time they ended), st:STATE:TENANT (sorted set of a tenant's jobs in a state, by number), erased
// (sorted set of ids that were erased within an hour and not inserted again, by that time),
// cv:… and rn:… (sets of the jobs of a conversation and of a run), tk:TOKEN (set of the jobs claimed under a token).
// Fields of a job: n tenant, u source, c conversation, r run, s state, d record, t token, h held, x deaths, q number,
// a created, g changed. A new job has only the fields that are not empty.
const common = `
local P = ARGV[1]
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local function text(n) return string.format('%.0f', n) end
local function at(ms, seq) return string.format('%.3f', ms + (tonumber(seq) % 1000) / 1000) end
local function list(state, tenant) return P..'st:'..state..':'..tenant end
-- The length keeps a tenant that ends with a colon apart.
local function group(kind, tenant, name) return P..kind..':'..#tenant..':'..tenant..':'..name end
local function over(state) return state == '${DONE}' or state == '${DEAD}' or state == '${CANCELLED}' end
local function row(id)
  local e = redis.call('HMGET', P..'j:'..id, 'n', 's', 'd', 't', 'h', 'x', 'a', 'g')
  if not e[1] then return false end
  e[4], e[5], e[6], e[8] = e[4] or '', e[5] or '0', e[6] or '0', e[8] or e[7]
  table.insert(e, 1, id)
  return e
end
local function move(id, tenant, seq, from, to)
  if from == to then return end
  redis.call('ZREM', list(from, tenant), id)
  redis.call('ZADD', list(to, tenant), seq, id)
  redis.call('HSET', P..'j:'..id, 's', to)
end
local function hold(id, token)
  redis.call('SADD', P..'tk:'..token, id)
  redis.call('PEXPIRE', P..'tk:'..token, 120000)
end
local function drop(id)
  local e = redis.call('HMGET', P..'j:'..id, 'n', 's', 'c', 'r')
  if e[1] then
    redis.call('ZREM', list(e[2], e[1]), id)
    if e[3] then redis.call('SREM', group('cv', e[1], e[3]), id) end
    if e[4] then redis.call('SREM', group('rn', e[1], e[4]), id) end
  end
  for _, set in ipairs({ 'open', 'ended', 'dead' }) do redis.call('ZREM', P..set, id) end
  redis.call('DEL', P..'j:'..id)
end
`;

function script(body: string): ReturnType<typeof createRedisScript> {
  return createRedisScript(common + body);
}

const insertBody = `
local id, tenant, conversation, run, state, token = ARGV[2], ARGV[3], ARGV[5], ARGV[6], ARGV[7], ARGV[9]
local there = row(id)
if there then return there end
local seq = redis.call('INCR', P..'seq')
local held = token == '' and '0' or '1'
if held == '1' and state == '${ACCEPTED}' then state = '${EXECUTING}' end
local fields = { 'n', tenant, 'u', ARGV[4], 's', state, 'd', ARGV[8], 'q', seq, 'a', text(now) }
local function add(field, value)
  fields[#fields + 1] = field
  fields[#fields + 1] = value
end
if conversation ~= '' then add('c', conversation) end
if run ~= '' then add('r', run) end
if held == '1' then
  add('t', token)
  add('h', '1')
end
redis.call('HSET', P..'j:'..id, unpack(fields))
redis.call('ZADD', P..'open', at(held == '1' and now + tonumber(ARGV[10]) or now, seq), id)
redis.call('ZADD', list(state, tenant), seq, id)
if conversation ~= '' then redis.call('SADD', group('cv', tenant, conversation), id) end
if run ~= '' then redis.call('SADD', group('rn', tenant, run), id) end
if held == '1' then hold(id, token) end
redis.call('ZREM', P..'erased', id)
return false
`;

/**
 * Inserts. Arguments: id, tenant, source, conversation, run, state, record, token, length of the lease. Returns the
 * existing row, or nil.
 */
export const insert = script(insertBody);

/**
 * Inserts a job that the server has lost. Takes the same arguments. Returns nil, or something else if the job was erased
 * or not lost.
 */
export const restore = script(`
if redis.call('ZSCORE', P..'erased', ARGV[2]) then return 1 end
${insertBody}`);

/** Returns the row of an id, or nil. */
export const get = script("return row(ARGV[2])");

/**
 * Lists a page. Arguments: tenant, state (0 for all), exclusive upper bound of the number (or empty), page size, bytes.
 * Returns the next number, then the rows.
 */
export const list = script(`
local tenant, size, left = ARGV[2], tonumber(ARGV[5]), tonumber(ARGV[6])
local from = ARGV[4] == '' and '+inf' or '('..ARGV[4]
local states = ARGV[3] == '0' and { '1', '2', '3', '4', '5', '6' } or { ARGV[3] }
local found = {}
for _, state in ipairs(states) do
  local ids = redis.call('ZREVRANGEBYSCORE', list(state, tenant), from, '-inf', 'WITHSCORES', 'LIMIT', 0, size + 1)
  for i = 1, #ids, 2 do found[#found + 1] = { ids[i], tonumber(ids[i + 1]) } end
end
table.sort(found, function(a, b) return a[2] > b[2] end)
local page, last = { '' }, ''
for i, one in ipairs(found) do
  local bytes = redis.call('HSTRLEN', P..'j:'..one[1], 'd')
  if i > size or (i > 1 and left < bytes) then
    page[1] = last
    break
  end
  left = left - bytes
  last = text(one[2])
  if bytes > 0 then page[#page + 1] = row(one[1]) end
end
return page
`);

/**
 * Claims. Arguments: token, count, whether to include expired leases (1 or 0), length of the lease, whether to claim
 * suspects or the others (1 or 0). Returns the rows in the order in which they are due.
 */
export const claim = script(`
local token, count, expired = ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'
local claimed = {}
-- Of those that are due, held ones may stand before the rest: they are few.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P..'open', '-inf', text(now + 1), 'LIMIT', 0, count + 1000)) do
  if #claimed == count then break end
  local e = redis.call('HMGET', P..'j:'..id, 'h', 's', 'n', 'q', 'x')
  local deaths = tonumber(e[5] or 0) + tonumber(e[1] or 0)
  if not e[2] then
    redis.call('ZREM', P..'open', id)
  elseif (e[1] ~= '1' or expired) and (deaths >= ${suspectDeaths}) == (ARGV[6] == '1') then
    if e[1] == '1' then redis.call('HINCRBY', P..'j:'..id, 'x', 1) end
    if e[2] == '${ACCEPTED}' then move(id, e[3], e[4], e[2], '${EXECUTING}') end
    redis.call('HSET', P..'j:'..id, 't', token, 'h', '1', 'g', text(now))
    redis.call('ZADD', P..'open', at(now + tonumber(ARGV[5]), e[4]), id)
    hold(id, token)
    claimed[#claimed + 1] = row(id)
  end
end
return claimed
`);

/**
 * Extends. Arguments: length of the lease, pairs of id and token. Returns the ids that are still held under their
 * tokens and were not erased.
 */
export const extend = script(`
local ours = {}
for i = 3, #ARGV, 2 do
  local e = redis.call('HMGET', P..'j:'..ARGV[i], 't', 'h', 'q', 'd')
  if e[1] == ARGV[i + 1] and e[2] == '1' and e[4] ~= '' then
    redis.call('ZADD', P..'open', at(now + tonumber(ARGV[2]), e[3]), ARGV[i])
    ours[#ours + 1] = ARGV[i]
  end
end
return ours
`);

/**
 * Writes. Arguments: the expected id, token, held and state (empty for any); the new state, whether it stays held (1 or
 * 0), pause in milliseconds, whether to keep the number of deaths (1 or 0), and the new record, if any. Returns 1 or 0.
 */
export const write = script(`
local id, state, held, pause = ARGV[2], ARGV[6], ARGV[7], tonumber(ARGV[8])
local e = redis.call('HMGET', P..'j:'..id, 't', 'h', 's', 'n', 'q', 'd')
if not e[3] or (e[1] or '') ~= ARGV[3] or (e[2] or '0') ~= ARGV[4] or (ARGV[5] ~= '' and e[3] ~= ARGV[5]) or e[6] == '' then return 0 end
move(id, e[4], e[5], e[3], state)
redis.call('HSET', P..'j:'..id, 'h', held, 'g', text(now))
if ARGV[9] == '0' then redis.call('HDEL', P..'j:'..id, 'x') end
if ARGV[10] then redis.call('HSET', P..'j:'..id, 'd', ARGV[10]) end
if over(state) then
  redis.call('ZREM', P..'open', id)
  redis.call('ZADD', P..(state == '${DEAD}' and 'dead' or 'ended'), text(now), id)
else
  if over(e[3]) then
    redis.call('ZREM', P..'dead', id)
    redis.call('ZREM', P..'ended', id)
  end
  redis.call('ZADD', P..'open', at(now + pause, e[5]), id)
end
return 1
`);

/** Releases the jobs held under a token. */
export const release = script(`
for _, id in ipairs(redis.call('SMEMBERS', P..'tk:'..ARGV[2])) do
  local e = redis.call('HMGET', P..'j:'..id, 't', 'h', 'q')
  if e[1] == ARGV[2] and e[2] == '1' then
    redis.call('HSET', P..'j:'..id, 'h', '0')
    redis.call('ZADD', P..'open', at(now, e[3]), id)
  end
end
return 1
`);

/** Deletes an erased job if it has this token. */
export const remove = script(`
if redis.call('HGET', P..'j:'..ARGV[2], 't') == ARGV[3] then
  drop(ARGV[2])
  redis.call('ZADD', P..'erased', text(now), ARGV[2])
end
return 1
`);

/** Returns the numbers of open and dead jobs, and the age of the oldest among the first thousand due ones. */
export const counts = script(`
local oldest = now
for _, id in ipairs(redis.call('ZRANGE', P..'open', 0, 999)) do
  oldest = math.min(oldest, tonumber(redis.call('HGET', P..'j:'..id, 'a') or now))
end
return { redis.call('ZCARD', P..'open'), redis.call('ZCARD', P..'dead'), now - oldest }
`);

/**
 * Deletes ended jobs. Arguments: age of ended ones, age of dead ones, maximum number of each. Returns the number of
 * deleted jobs.
 */
export const eraseEnded = script(`
local count = 0
for i, set in ipairs({ 'ended', 'dead' }) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P..set, '-inf', text(now - tonumber(ARGV[i + 1])), 'LIMIT', 0, ARGV[4])) do
    drop(id)
    count = count + 1
  end
end
return count
`);

/** Deletes the jobs of a selector: tenant, source, conversation, run. A held job loses only its record. */
export const eraseMatching = script(`
local tenant, source, conversation, run = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
redis.call('ZREMRANGEBYSCORE', P..'erased', '-inf', text(now - 3600000))
local set = conversation ~= '' and group('cv', tenant, conversation) or group('rn', tenant, run)
local count = 0
for _, id in ipairs(redis.call('SMEMBERS', set)) do
  local e = redis.call('HMGET', P..'j:'..id, 'u', 'c', 'r', 'h', 'd')
  local matches = e[1] and (source == '' or e[1] == source) and (conversation == '' or e[2] == conversation)
    and (run == '' or e[3] == run)
  if not e[1] then
    redis.call('SREM', set, id)
  elseif matches and (e[4] ~= '1' or e[5] ~= '') then
    if e[4] == '1' then redis.call('HSET', P..'j:'..id, 'd', '') else drop(id) end
    redis.call('ZADD', P..'erased', text(now), id)
    count = count + 1
  end
end
return count
`);
