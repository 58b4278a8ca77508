-- Appends observations to one partition's stream, unless the same report was accepted lately.
--
-- KEYS: 1 obs stream, 2 stations hash, 3.. the "seen" sets that the entries name
-- ARGV: 1 seconds that a "seen" set lives after its last use
--       2 number of stations to register if they are new, then their (id, description) pairs
--       then per entry: index of its "seen" set among KEYS, member, entry bytes
-- Returns one stream ID per entry, or an empty string for a report that was seen before.
local at = 3
for _ = 1, tonumber(ARGV[2]) do
  redis.call('HSETNX', KEYS[2], ARGV[at], ARGV[at + 1])
  at = at + 2
end
local ids = {}
while at < #ARGV do
  if redis.call('SADD', KEYS[tonumber(ARGV[at])], ARGV[at + 1]) == 1 then
    ids[#ids + 1] = redis.call('XADD', KEYS[1], '*', 'v', ARGV[at + 2])
  else
    ids[#ids + 1] = ''
  end
  at = at + 3
end
for i = 3, #KEYS do
  redis.call('EXPIRE', KEYS[i], ARGV[1])
end
return ids
