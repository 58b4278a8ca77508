-- Puts readings of a station's rain counters among those that are kept, and says of the last one
-- which reading came before it.
--
-- KEYS: 1 hash of rain counters
-- ARGV: 1 station
--       2 how many readings are kept
--       then per reading, oldest first: its time, its bytes
-- Returns the bytes of the reading before the last one given, or an empty string when there is none,
-- and 1 when the last one is older than the newest that is kept and is not among them, else 0.
--
-- A reading that is sent again is found by its time and has the same one before it as the first time.
-- One that comes too late is not kept: those after it have been answered for already.
--
-- Kept per station: a MessagePack list of time, bytes, time, bytes ..., oldest first.
local packed = redis.call('HGET', KEYS[1], ARGV[1])
local list = {}
if packed then
  -- What can't be read is as good as nothing: the next difference is missing.
  local read, found = pcall(cmsgpack.unpack, packed)
  if read and type(found) == 'table' then list = found end
end
local keep = 2 * tonumber(ARGV[2])
local before, late = '', 0
for at = 3, #ARGV, 2 do
  local last = #list
  before, late = '', 0
  if last == 0 or tonumber(ARGV[at]) > tonumber(list[last - 1]) then
    before = list[last] or ''
    list[last + 1] = ARGV[at]
    list[last + 2] = ARGV[at + 1]
  else
    late = 1
    for i = 1, last, 2 do
      if list[i] == ARGV[at] then
        before, late = list[i - 1] or '', 0
        list[i + 1] = ARGV[at + 1]
      end
    end
  end
end
while #list > keep do
  table.remove(list, 1)
  table.remove(list, 1)
end
redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack(list))
return {before, late}
