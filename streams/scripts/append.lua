-- Appends observations to one partition's stream, unless the same report was the last one accepted
-- for its station and time. (A correction back to an earlier value is a correction too.)
--
-- KEYS: 1 obs stream, 2 stations hash, 3.. the "seen" hashes that the entries name
-- ARGV: 1 seconds that a "seen" hash lives after its last use
--       2 number of stations to register if they are new, then their (id, description) pairs
--       then per entry: index of its "seen" hash among KEYS, field, values, entry bytes
-- Returns one stream ID per entry, or an empty string for a report that was seen before.
local at = 3
for _ = 1, tonumber(ARGV[2]) do
  redis.call('HSETNX', KEYS[2], ARGV[at], ARGV[at + 1])
  at = at + 2
end
local ids = {}
while at < #ARGV do
  local seen, field, values = KEYS[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2]
  if redis.call('HGET', seen, field) == values then
    ids[#ids + 1] = ''
  else
    ids[#ids + 1] = redis.call('XADD', KEYS[1], '*', 'v', ARGV[at + 3])
    redis.call('HSET', seen, field, values)
  end
  at = at + 4
end
for i = 3, #KEYS do
  redis.call('EXPIRE', KEYS[i], ARGV[1])
end
return ids
