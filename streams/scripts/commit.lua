-- Commits one partition's batch: windows, forecasts and acknowledgements, all or nothing.
--
-- KEYS: 1 owner, 2 obs stream, 3 forecast stream, 4 newest hash, 5 latest hash, 6 dead stream,
--       7 count of commits, 8.. window hashes
-- ARGV: 1 the owner's lease token, 2 consumer group, 3 seconds that a window lives after its last
--       change, 4 the count of commits that the owner knows of, empty for one who has just begun,
--       then five counted lists:
--       acknowledged stream IDs; window fields (key index, hour, bytes: empty deletes it);
--       newest observations (station, bytes); forecasts (station, bytes);
--       entries given up (id, reason, deliveries, bytes)
-- Returns the number acknowledged and the count of commits. The number is -1 if another worker owns the
-- partition, -2 if the count is another than the owner knows (Redis has gone back to an earlier
-- state), or 0 if the batch had been committed before; in each case nothing is written.
local commits = tonumber(redis.call('GET', KEYS[7]) or '0')
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return { -1, commits }
end
if ARGV[4] ~= '' and tonumber(ARGV[4]) ~= commits then
  return { -2, commits }
end
local at = 5
local function list(width, each)
  local count = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, count do
    each(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
    at = at + width
  end
end
local acknowledged = 0
list(1, function(id)
  acknowledged = acknowledged + redis.call('XACK', KEYS[2], ARGV[2], id)
end)
if acknowledged == 0 then
  return { 0, commits }
end
list(3, function(key, hour, bytes)
  if bytes == '' then
    redis.call('HDEL', KEYS[tonumber(key)], hour)
  else
    redis.call('HSET', KEYS[tonumber(key)], hour, bytes)
  end
end)
for i = 8, #KEYS do
  redis.call('EXPIRE', KEYS[i], ARGV[3])
end
list(2, function(station, bytes)
  redis.call('HSET', KEYS[4], station, bytes)
end)
list(2, function(station, bytes)
  redis.call('XADD', KEYS[3], '*', 'v', bytes)
  redis.call('HSET', KEYS[5], station, bytes)
end)
-- The worker is in the token, before the fence.
local worker = string.match(ARGV[1], '^(.*)#')
list(4, function(id, reason, deliveries, bytes)
  redis.call('XADD', KEYS[6], '*', 'id', id, 'reason', reason, 'deliveries', deliveries, 'worker', worker, 'v', bytes)
end)
return { acknowledged, redis.call('INCR', KEYS[7]) }
