-- Puts a dead letter back at the end of its partition's stream, as a new entry: both or neither.
--
-- KEYS: 1 dead stream, 2 obs stream
-- ARGV: 1 ID of the dead letter
-- Returns the new entry's ID, or an empty string if there is no such dead letter (any more).
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #found == 0 then
  return ''
end
local fields = found[1][2]
for at = 1, #fields, 2 do
  if fields[at] == 'v' then
    local id = redis.call('XADD', KEYS[2], '*', 'v', fields[at + 1])
    redis.call('XDEL', KEYS[1], ARGV[1])
    return id
  end
end
return ''
