-- Commits one partition's batch: windows, forecasts and acknowledgements, all or nothing.
--
-- KEYS: 1 owner, 2 obs stream, 3 forecast stream, 4 newest hash, 5 latest hash, 6 dead stream,
--       7.. window hashes
-- ARGV: 1 the owner's lease token, 2 consumer group, 3 seconds that a window lives after the last
--       hour that was new to it, then five counted lists:
--       acknowledged stream IDs; window fields (key index, hour, bytes: empty deletes it);
--       newest observations (station, bytes); forecasts (station, bytes);
--       dead letters (id, reason, bytes)
-- Returns the number acknowledged, -1 if another worker owns the partition, or 0 if the batch had
-- been committed before; in both cases nothing is written.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return -1
end
-- A call of a command costs more than what most commands do: whatever takes a list is given one. Lua
-- passes at most some 8000 arguments.
local MOST = 4000
local at = 4
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
  return 0
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
parts(2 * count(), function(from, to)
  for forecast = from + 1, to, 2 do
    redis.call('XADD', KEYS[3], '*', 'v', ARGV[forecast])
  end
  redis.call('HSET', KEYS[5], unpack(ARGV, from, to))
end)
for _ = 1, count() do
  redis.call('XADD', KEYS[6], '*', 'id', ARGV[at], 'reason', ARGV[at + 1], 'v', ARGV[at + 2])
  at = at + 3
end
return acknowledged
