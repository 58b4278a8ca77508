-- Commits one partition's batch: windows, forecasts and acknowledgements, all or nothing.
--
-- KEYS: 1 owner, 2 obs stream, 3 forecast stream, 4 newest hash, 5 latest hash, 6 dead stream,
--       7 count of commits, 8.. window hashes
-- ARGV: 1 the owner's lease token, 2 consumer group, 3 seconds that a window lives after the last
--       hour that was new to it, 4 the count of commits that the owner knows of, empty if it knows of
--       none, 5.. then seven counted lists:
--       acknowledged stream IDs; stations that are no more (station, key index of its window), of
--       which everything goes before the rest is written; window fields (key index, hour, bytes: empty deletes it);
--       newest observations (station, bytes); judgements (bytes); forecasts (station, bytes);
--       entries given up (id, reason, deliveries, bytes)
-- Returns the number acknowledged and the count of commits. The number is -1 if another worker owns the
-- partition, -2 if the count is another than the owner knows (Redis has gone back to an earlier
-- state), -3 if an entry before the first of the batch is pending with somebody else (who read it after
-- the partition had changed hands: it must come first), or 0 if the batch had been committed before; in
-- each case nothing is written.
local commits = tonumber(redis.call('GET', KEYS[7]) or '0')
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return { -1, commits }
end
local first = tonumber(ARGV[5]) > 0 and ARGV[6]
if ARGV[4] ~= '' and tonumber(ARGV[4]) ~= commits then
  local waits = first and #redis.call('XPENDING', KEYS[2], ARGV[2], first, first, 1) > 0
  if tonumber(ARGV[4]) + 1 == commits and not waits then
    return { 0, commits }
  end
  return { -2, commits }
end
local function before(a, b)
  local milliseconds, sequence = string.match(a, '^(%d+)-(%d+)$')
  local than, sequence_than = string.match(b, '^(%d+)-(%d+)$')
  milliseconds, than = tonumber(milliseconds), tonumber(than)
  return milliseconds < than or (milliseconds == than and tonumber(sequence) < tonumber(sequence_than))
end
local oldest = first and redis.call('XPENDING', KEYS[2], ARGV[2], '-', '+', 1)[1]
if oldest and before(oldest[1], first) then
  return { -3, commits }
end
-- A call of a command costs more than what most commands do: whatever takes a list is given one. Lua
-- passes at most some 8000 arguments.
local MOST = 4000
local at = 5
local function count()
  at = at + 1
  return tonumber(ARGV[at - 1])
end
local function parts(length, each)
  local last = at + length - 1
  while at <= last do
    local to = math.min(at + MOST - 1, last)
    each(at, to)
    at = to + 1
  end
end
local acknowledged = 0
parts(count(), function(from, to)
  acknowledged = acknowledged + redis.call('XACK', KEYS[2], ARGV[2], unpack(ARGV, from, to))
end)
if acknowledged == 0 then
  return { 0, commits }
end
for _ = 1, count() do
  redis.call('HDEL', KEYS[4], ARGV[at])
  redis.call('HDEL', KEYS[5], ARGV[at])
  redis.call('UNLINK', KEYS[tonumber(ARGV[at + 1])])
  at = at + 2
end
for _ = 1, count() do
  local key, hour, bytes = KEYS[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2]
  if bytes == '' then
    redis.call('HDEL', key, hour)
  elseif redis.call('HSET', key, hour, bytes) == 1 then
    -- Once an hour is enough: the window has the better part of a day to spare.
    redis.call('EXPIRE', key, ARGV[3])
  end
  at = at + 3
end
parts(2 * count(), function(from, to)
  redis.call('HSET', KEYS[4], unpack(ARGV, from, to))
end)
for _ = 1, count() do
  redis.call('XADD', KEYS[3], '*', 'v', ARGV[at])
  at = at + 1
end
parts(2 * count(), function(from, to)
  for forecast = from + 1, to, 2 do
    redis.call('XADD', KEYS[3], '*', 'v', ARGV[forecast])
  end
  redis.call('HSET', KEYS[5], unpack(ARGV, from, to))
end)
-- The worker is in the token, before the fence.
local worker = string.match(ARGV[1], '^(.*)#')
for _ = 1, count() do
  local id, reason, deliveries, bytes = unpack(ARGV, at, at + 3)
  redis.call('XADD', KEYS[6], '*', 'id', id, 'reason', reason, 'deliveries', deliveries, 'worker', worker, 'v', bytes)
  at = at + 4
end
return { acknowledged, redis.call('INCR', KEYS[7]) }
