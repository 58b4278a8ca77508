-- Forgets a station and tells the readers of its partition: all or nothing.
--
-- KEYS: 1 obs stream, 2 the station's window, 3.. hashes that have a field of the station's name, the
--       stations hash first
-- ARGV: 1 station, 2 the entry that says that it is no more
-- Returns 1, or 0 if nothing of it was there: then nobody is told.
--
-- Its observations that the worker has not read yet may bring some of it back; the worker takes that away
-- again when it comes to the entry.
local there = redis.call('UNLINK', KEYS[2])
for key = 3, #KEYS do
  there = there + redis.call('HDEL', KEYS[key], ARGV[1])
end
if there == 0 then
  return 0
end
redis.call('XADD', KEYS[1], '*', 'v', ARGV[2])
return 1
